--[[
overdue: finds bookings that were never committed and are older than they may be. Entries whose
booking is gone or committed are dropped here, atomically: a booking made meanwhile keeps its own.

KEYS[1]    meta          hash: incarnation
ARGV[1]    prefix        of all keys of the cell
ARGV[2]    olderThan     age in ms, by the clock of Redis
ARGV[3]    limit         entries to look at, at most
Returns    OVERDUE       then booking id, VM id and host id of each
Keeps      I5
]]
local time = redis.call('TIME')
local before = time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[2]
local ledger = ARGV[1] .. (redis.call('HGET', KEYS[1], 'incarnation') or '') .. ':'
local reserved = ledger .. 'reserved'
local range = { string.format('(%.0f', before), 'limit', 0, ARGV[3] }
local found = { 'OVERDUE' }
for _, vmId in ipairs(redis.call('ZRANGEBYSCORE', reserved, '-inf', unpack(range))) do
  local key = ledger .. 'vm:' .. vmId
  local bookingId, hostId, state = unpack(redis.call('HMGET', key, 'booking', 'host', 'state'))
  if bookingId and state == 'reserved' then
    for _, part in ipairs({ bookingId, vmId, hostId }) do found[#found + 1] = part end
  else
    redis.call('ZREM', reserved, vmId)
  end
end
return found
