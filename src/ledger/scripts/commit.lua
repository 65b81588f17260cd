--[[
commit: marks bookings as recorded in the catalogue, so that their leases no longer run and what they
took the place of is gone for good. Each is marked or not by itself.

KEYS[1]    meta          hash: incarnation
ARGV[1]    prefix        of all keys of the cell
ARGV[2]    bookings      JSON list: {bookingId, vmId, assignment: text}
Returns    DONE          then the places, from 0, of those whose VM has no booking or another one
Keeps      I3 I5
]]
local reply = { 'DONE' }
local ledger = ARGV[1] .. (redis.call('HGET', KEYS[1], 'incarnation') or '') .. ':'
for i, recorded in ipairs(cjson.decode(ARGV[2])) do
  local vm = ledger .. 'vm:' .. recorded.vmId
  if redis.call('HGET', vm, 'booking') == recorded.bookingId then
    redis.call('HSET', vm, 'state', 'committed', 'assignment', recorded.assignment)
    redis.call('HDEL', vm, 'frees')
    redis.call('ZREM', ledger .. 'reserved', recorded.vmId)
  else
    reply[#reply + 1] = string.format('%d', i - 1)
  end
end
return reply
