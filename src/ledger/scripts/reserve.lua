--[[
reserve: books a batch of VMs under the placement lock, each wholly or not at all.

KEYS[1]    meta          hash: incarnation, fence, seq
KEYS[2]    log           stream: one entry for the whole batch
KEYS[3]    reserved      sorted set: VM ids by time of booking, ms
KEYS[4]    vms           set: VM ids
KEYS[5..]  more          the hosts of ARGV[5], then the VMs of ARGV[6]
ARGV[1]    incarnation   of the ledger that the decisions were made on
ARGV[2]    fence         number of the caller's turn
ARGV[3]    seen          highest seq that the caller has seen in this incarnation
ARGV[4]    logLengthMax  entries that the log keeps, about
ARGV[5]    hostIds       JSON: [id]
ARGV[6]    bookings      JSON: [{bookingId, vmId, host: index from 1, path, amounts: JSON text}]
Returns    DONE          seq, log entry or '', JSON {host id: {class: used}}, outcomes by commas:
Returns    BOOKED        it is, or already was, booked
Returns    TAKEN         the VM has another booking
Returns    CLOSED        the host takes no VMs, or is not known
Returns    INSUFFICIENT  class, requested, used, limit; divided by blanks
Returns    FOREIGN       nothing done: there is no ledger, or another one
Returns    FENCED        nothing done: a later turn has begun
Returns    ROLLED_BACK   nothing done: Redis has lost changes
Keeps      I1 I2 I3 I12
]]
local incarnation, fence, seq = unpack(redis.call('HMGET', KEYS[1], 'incarnation', 'fence', 'seq'))
if incarnation ~= ARGV[1] then return { 'FOREIGN' } end
if tonumber(fence or 0) > tonumber(ARGV[2]) then return { 'FENCED' } end
if tonumber(seq) < tonumber(ARGV[3]) then return { 'ROLLED_BACK' } end

local function integer(x) return string.format('%.0f', x) end
local ids, hosts, accepted, outcomes = cjson.decode(ARGV[5]), {}, {}, {}
for i in ipairs(ids) do
  local host, fields = { limit = {}, used = {} }, redis.call('HGETALL', KEYS[4 + i])
  for f = 1, #fields, 2 do
    local kind, class = string.match(fields[f], '^(%l+):(.+)$')
    if kind then host[kind][class] = tonumber(fields[f + 1]) end
    if fields[f] == 'up' then host.up = fields[f + 1] == '1' end
  end
  hosts[i] = host
end

local function judge(vm, key)
  local standing = accepted[key] and accepted[key].bookingId or redis.call('HGET', key, 'booking')
  if standing then return standing == vm.bookingId and 'BOOKED' or 'TAKEN' end
  local host, amounts = hosts[vm.host], cjson.decode(vm.amounts)
  if not host.up then return 'CLOSED' end
  for class, amount in pairs(amounts) do
    local used, limit = host.used[class] or 0, host.limit[class] or 0
    if used + amount > limit then
      return string.format('INSUFFICIENT %s %.0f %.0f %.0f', class, amount, used, limit)
    end
  end
  for class, amount in pairs(amounts) do host.used[class] = (host.used[class] or 0) + amount end
  accepted[key] = vm
  return 'BOOKED'
end
for i, vm in ipairs(cjson.decode(ARGV[6])) do outcomes[i] = judge(vm, KEYS[4 + #ids + i]) end

local time = redis.call('TIME')
local now = integer(time[1] * 1000 + math.floor(time[2] / 1000))
for key, vm in pairs(accepted) do
  redis.call('HSET', key, 'host', ids[vm.host], 'amounts', vm.amounts, 'path', vm.path,
    'state', 'reserved', 'at', now, 'booking', vm.bookingId)
  redis.call('SADD', KEYS[4], vm.vmId)
  redis.call('ZADD', KEYS[3], now, vm.vmId)
end
local sums, entry = {}, ''
for i, id in ipairs(ids) do
  sums[id] = {}
  for class, sum in pairs(hosts[i].used) do
    sums[id][class] = integer(sum) -- As text: cjson rounds what has more than 14 digits.
    if next(accepted) then redis.call('HSET', KEYS[4 + i], 'used:' .. class, integer(sum)) end
  end
end
local used = cjson.encode(sums)
if next(accepted) then
  seq = integer(redis.call('HINCRBY', KEYS[1], 'seq', 1))
  entry = redis.call('XADD', KEYS[2], 'maxlen', '~', ARGV[4], '*', 'n', seq, 'used', used)
end
return { 'DONE', seq, entry, used, table.concat(outcomes, ',') }
