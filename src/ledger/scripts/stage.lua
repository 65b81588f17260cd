--[[
stage: puts hosts and bookings of the catalogue into a ledger that is being built beside the one in
place, and takes bookings out that have ended. Sums and groups follow. Putting in again what is there
changes nothing, so parts that were read at different times may overlap; later ones win. A booking on a
host that is not there yet is left out: it comes again with its host.

KEYS[1]    stagings      sorted set: incarnations that are not in place, by time of the last part, ms
KEYS[2]    parts         number of the last part
KEYS[3]    hosts         set: host ids
KEYS[4]    vms           set: VM ids
KEYS[5]    groups        set: keys of groups
KEYS[6]    reserved      sorted set; stays empty: all of it is recorded
ARGV[1]    incarnation   that it will have
ARGV[2]    number        of this part; the first is 1
ARGV[3]    prefixes      JSON: {host, vm, group}: what their keys begin with
ARGV[4]    newHosts      JSON list: {id, hash: list of field, value, …}, without used amounts
ARGV[5]    gone          JSON list: {bookingId, vmId}
ARGV[6]    bookings      JSON list: {vmId, booking, host, path, amounts, groups, assignment}, all texts
Returns    STAGED        then how many VMs there are more, reservations not counted
Returns    LOST          nothing done: the part before this one is not there (any more)
Keeps      I2 I3 I6 I12
]]
if (redis.call('GET', KEYS[2]) or '0') ~= string.format('%d', ARGV[2] - 1) then return { 'LOST' } end
books.prefix, books.areRecorded = cjson.decode(ARGV[3]), true

for _, host in ipairs(cjson.decode(ARGV[4])) do
  local name = books.prefix.host .. host.id
  for _, field in ipairs(redis.call('HKEYS', name)) do
    if string.sub(field, 1, 6) == 'limit:' then redis.call('HDEL', name, field) end
  end
  redis.call('HSET', name, unpack(host.hash))
  redis.call('SADD', KEYS[3], host.id)
end

local more = 0
local function hold(id, vm)
  local before = books.vm(id)
  if before and before.assignment ~= '0' then more = more - 1 end
  if vm and vm.assignment ~= '0' then more = more + 1 end
  books.hold(id, vm)
end
for _, gone in ipairs(cjson.decode(ARGV[5])) do
  local standing = books.vm(gone.vmId)
  if standing and standing.booking == gone.bookingId then hold(gone.vmId, false) end
end
for _, vm in ipairs(cjson.decode(ARGV[6])) do
  local standing = books.vm(vm.vmId)
  local isOlder = standing and tonumber(standing.assignment) > tonumber(vm.assignment)
  if not isOlder and books.host(vm.host).isKnown then hold(vm.vmId, vm) end
end

books.store({ vms = KEYS[4], groups = KEYS[5], reserved = KEYS[6] })
redis.call('SET', KEYS[2], ARGV[2])
redis.call('ZADD', KEYS[1], books.now(), ARGV[1])
return { 'STAGED', string.format('%d', more) }
