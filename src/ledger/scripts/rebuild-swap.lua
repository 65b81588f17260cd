--[[
rebuild-swap: puts the ledger that was built under staging keys in the place of the present one.
Touches, besides KEYS, the host, VM and group keys of both that the sets name; all have one hash
tag.

KEYS[1]    meta          hash: incarnation, epoch, fence, seq
KEYS[2]    log           stream of changes
KEYS[3]    reserved      sorted set: VM ids by time of booking, ms
KEYS[4]    hosts         set: host ids
KEYS[5]    vms           set: VM ids
KEYS[6]    groups        set: keys of groups
KEYS[7]    stagedHosts   set: host ids of the new ledger
KEYS[8]    stagedVms     set: VM ids of the new ledger
KEYS[9]    stagedGroups  set: keys of groups of the new ledger
ARGV[1]    epoch         of the catalogue from which the new ledger was built
ARGV[2]    incarnation   of the new ledger; random
ARGV[3]    highWater     highest seq that the catalogue has recorded
ARGV[4]    hostCount     hosts that were staged
ARGV[5]    vmCount       VMs that were staged
ARGV[6]    groupCount    groups that were staged
ARGV[7]    logLengthMax  entries that the log keeps, about
ARGV[8]    prefixes      JSON: {host, vm, group, stagedHost, …}: what their keys begin with
Returns    SWAPPED       the new ledger is in place
Returns    OLDER         nothing done: a ledger of this epoch or a later one is there
Returns    INCOMPLETE    nothing done: staged keys are missing, Redis has lost them
Keeps      I2 I3 I6 I12
]]
local epoch, seq = unpack(redis.call('HMGET', KEYS[1], 'epoch', 'seq'))
if epoch and tonumber(epoch) >= tonumber(ARGV[1]) then return { 'OLDER' } end

local prefix = cjson.decode(ARGV[8])
local function complete(ids, keyPrefix, count)
  local present = 0
  for _, id in ipairs(ids) do present = present + redis.call('EXISTS', keyPrefix .. id) end
  return present == tonumber(count)
end
local newHosts, newVms = redis.call('SMEMBERS', KEYS[7]), redis.call('SMEMBERS', KEYS[8])
local newGroups = redis.call('SMEMBERS', KEYS[9])
if not complete(newHosts, prefix.stagedHost, ARGV[4]) then return { 'INCOMPLETE' } end
if not complete(newVms, prefix.stagedVm, ARGV[5]) then return { 'INCOMPLETE' } end
if not complete(newGroups, prefix.stagedGroup, ARGV[6]) then return { 'INCOMPLETE' } end

local function replace(set, stagedSet, ids, keyPrefix, stagedPrefix)
  for _, id in ipairs(redis.call('SMEMBERS', set)) do redis.call('DEL', keyPrefix .. id) end
  redis.call('DEL', set)
  for _, id in ipairs(ids) do redis.call('RENAME', stagedPrefix .. id, keyPrefix .. id) end
  if #ids > 0 then redis.call('RENAME', stagedSet, set) end
end
replace(KEYS[4], KEYS[7], newHosts, prefix.host, prefix.stagedHost)
replace(KEYS[5], KEYS[8], newVms, prefix.vm, prefix.stagedVm)
replace(KEYS[6], KEYS[9], newGroups, prefix.group, prefix.stagedGroup)
redis.call('DEL', KEYS[3])

-- The fence stays; seq goes on after whatever anybody has seen of either side.
local nextSeq = string.format('%.0f', math.max(tonumber(seq or 0), tonumber(ARGV[3])) + 1)
redis.call('HSET', KEYS[1], 'incarnation', ARGV[2], 'epoch', ARGV[1], 'seq', nextSeq)
redis.call('XADD', KEYS[2], 'maxlen', '~', ARGV[7], '*', 'n', nextSeq, 'reset', ARGV[2])
return { 'SWAPPED' }
