--[[
commit: marks bookings as recorded in the catalogue, so that their leases no longer run and what they
took the place of is gone for good. Each is marked or not by itself.

KEYS[1]    reserved      sorted set: VM ids by time of booking, ms
ARGV[1]    vmPrefix      of the names of the hashes of allocations
ARGV[2]    bookings      JSON list: {bookingId, vmId, assignment: text}
Returns    DONE          then the places, from 0, of those whose VM has no booking or another one
Keeps      I3 I5
]]
local reply = { 'DONE' }
for i, recorded in ipairs(cjson.decode(ARGV[2])) do
  local vm = ARGV[1] .. recorded.vmId
  if redis.call('HGET', vm, 'booking') == recorded.bookingId then
    redis.call('HSET', vm, 'state', 'committed', 'assignment', recorded.assignment)
    redis.call('HDEL', vm, 'frees')
    redis.call('ZREM', KEYS[1], recorded.vmId)
  else
    reply[#reply + 1] = string.format('%d', i - 1)
  end
end
return reply
