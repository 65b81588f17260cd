--[[
rebuild-swap: puts a ledger that was built beside the present one in its place. Every ledger has keys
of its own, so this is the same work for any number of VMs; the old one's are cleared away later.

KEYS[1]    meta          hash: incarnation, epoch, fence, seq
KEYS[2]    log           stream of changes
KEYS[3]    stagings      sorted set: incarnations that are not in place; 0: replaced
KEYS[4]    parts         number of the last part of the new ledger
ARGV[1]    epoch         of the catalogue from which the new ledger was built
ARGV[2]    incarnation   of the new ledger
ARGV[3]    highWater     highest seq that the catalogue has recorded
ARGV[4]    number        of parts that were put in
ARGV[5]    logLengthMax  entries that the log keeps, about
Returns    SWAPPED       the new ledger is in place
Returns    OLDER         nothing done: a ledger of this epoch or a later one is there
Returns    INCOMPLETE    nothing done: parts are missing, Redis has lost them
Keeps      I2 I3 I6 I12
]]
local old, epoch, seq = unpack(redis.call('HMGET', KEYS[1], 'incarnation', 'epoch', 'seq'))
if epoch and tonumber(epoch) >= tonumber(ARGV[1]) then return { 'OLDER' } end
-- Whatever makes Redis lose writes loses the last ones, or all: with the last part there, all are.
if redis.call('GET', KEYS[4]) ~= ARGV[4] then return { 'INCOMPLETE' } end

if old then redis.call('ZADD', KEYS[3], 0, old) end
redis.call('ZREM', KEYS[3], ARGV[2])
redis.call('DEL', KEYS[4])
-- The fence stays; seq goes on after whatever anybody has seen of either side.
local nextSeq = string.format('%.0f', math.max(tonumber(seq or 0), tonumber(ARGV[3])) + 1)
redis.call('HSET', KEYS[1], 'incarnation', ARGV[2], 'epoch', ARGV[1], 'seq', nextSeq)
redis.call('XADD', KEYS[2], 'maxlen', '~', ARGV[5], '*', 'n', nextSeq, 'reset', ARGV[2])
return { 'SWAPPED' }
