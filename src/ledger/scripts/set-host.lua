--[[
set-host: adds a host or takes over what changed about it: facts, limits, whether it is open.
What is booked on it stays as it is, even above a limit that has shrunk.

KEYS[1]    meta          hash: incarnation, seq
KEYS[2]    log           stream of changes
ARGV[1]    hostId        id of the host
ARGV[2]    revision      of the facts; an older or equal one changes nothing
ARGV[3]    up            1 when the host takes new VMs, else 0
ARGV[4]    facts         JSON, as the mirrors want it
ARGV[5]    limits        JSON: {class: limit as text}
ARGV[6]    logLengthMax  entries that the log keeps, about
ARGV[7]    prefix        of all keys of the cell
Returns    SET           the facts are the ledger's now
Returns    OLDER         nothing done: the ledger has these facts or newer ones
Returns    NO_LEDGER     nothing done: a rebuild will bring the host
Keeps      I1 I2 I7 I12
]]
local incarnation = redis.call('HGET', KEYS[1], 'incarnation')
if not incarnation then return { 'NO_LEDGER' } end
local ledger = ARGV[7] .. incarnation .. ':'
local host = ledger .. 'host:' .. ARGV[1]
local known = redis.call('HGET', host, 'revision')
if known and tonumber(known) >= tonumber(ARGV[2]) then return { 'OLDER' } end

local limits, sums, vanished = cjson.decode(ARGV[5]), {}, {}
local fields = redis.call('HGETALL', host)
for f = 1, #fields, 2 do
  local kind, class = string.match(fields[f], '^(%l+):(.+)$')
  if kind == 'used' then sums[class] = fields[f + 1] end
  if kind == 'limit' and not limits[class] then vanished[#vanished + 1] = fields[f] end
end

redis.call('HSET', host, 'revision', ARGV[2], 'up', ARGV[3], 'facts', ARGV[4])
for class, limit in pairs(limits) do redis.call('HSET', host, 'limit:' .. class, limit) end
for _, field in ipairs(vanished) do redis.call('HDEL', host, field) end
redis.call('SADD', ledger .. 'hosts', ARGV[1])
local seq = string.format('%.0f', redis.call('HINCRBY', KEYS[1], 'seq', 1))
local used = cjson.encode({ [ARGV[1]] = sums })
redis.call('XADD', KEYS[2], 'maxlen', '~', ARGV[6], '*', 'n', seq, 'used', used, 'facts', ARGV[4])
return { 'SET' }
