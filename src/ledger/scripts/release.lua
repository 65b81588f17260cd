--[[
release: gives one booking back. A second call, or one that names an older booking, does nothing.

KEYS[1]    meta          hash: incarnation, seq
KEYS[2]    log           stream of changes
KEYS[3]    reserved      sorted set: VM ids by time of booking, ms
KEYS[4]    vms           set: VM ids
KEYS[5]    host          hash: the host of the booking
KEYS[6]    vm            hash: the allocation
ARGV[1]    bookingId     names the booking and no other
ARGV[2]    vmId          the VM that has it
ARGV[3]    hostId        the host that it is on
ARGV[4]    logLengthMax  entries that the log keeps, about
Returns    RELEASED      the VM holds nothing any more
Returns    UNKNOWN       nothing done: the VM has no booking, or another one
Returns    NO_LEDGER     nothing done: a rebuild will bring the ledger
Keeps      I2 I3 I12
]]
local incarnation = redis.call('HGET', KEYS[1], 'incarnation')
if not incarnation then return { 'NO_LEDGER' } end
local booking, hostId, amounts = unpack(redis.call('HMGET', KEYS[6], 'booking', 'host', 'amounts'))
if booking ~= ARGV[1] or hostId ~= ARGV[3] then return { 'UNKNOWN' } end

local function integer(x) return string.format('%.0f', x) end

local freed = cjson.decode(amounts)
local sums = {}
local fields = redis.call('HGETALL', KEYS[5])
for f = 1, #fields, 2 do
  local class = string.match(fields[f], '^used:(.+)$')
  if class then
    -- Never negative, whatever somebody did to the sums by hand.
    sums[class] = integer(math.max(0, tonumber(fields[f + 1]) - (freed[class] or 0)))
  end
end

for class, sum in pairs(sums) do redis.call('HSET', KEYS[5], 'used:' .. class, sum) end
redis.call('DEL', KEYS[6])
redis.call('SREM', KEYS[4], ARGV[2])
redis.call('ZREM', KEYS[3], ARGV[2])
local seq = integer(redis.call('HINCRBY', KEYS[1], 'seq', 1))
local used = cjson.encode({ [hostId] = sums })
redis.call('XADD', KEYS[2], 'maxlen', '~', ARGV[4], '*', 'n', seq, 'used', used)
return { 'RELEASED' }
