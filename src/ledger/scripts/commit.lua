--[[
commit: marks a booking as recorded in the catalogue, so that its lease no longer runs and what it
took the place of is gone for good.

KEYS[1]    reserved      sorted set: VM ids by time of booking, ms
KEYS[2]    vm            hash: the allocation
ARGV[1]    bookingId     names the booking and no other
ARGV[2]    vmId          the VM that has it
ARGV[3]    assignment    number that the catalogue gave to the booking
Returns    COMMITTED     it is marked
Returns    UNKNOWN       nothing done: the VM has no booking, or another one
Keeps      I3 I5
]]
if redis.call('HGET', KEYS[2], 'booking') ~= ARGV[1] then return { 'UNKNOWN' } end
redis.call('HSET', KEYS[2], 'state', 'committed', 'assignment', ARGV[3])
redis.call('HDEL', KEYS[2], 'frees')
redis.call('ZREM', KEYS[1], ARGV[2])
return { 'COMMITTED' }
