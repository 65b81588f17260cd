--[[
reserve: books a batch under the placement lock, each booking wholly or not at all, and those of one
set all or none. What a booking takes the place of is given back in the same step, and noted with it
so that release can put it back as long as the booking is not committed. Asked for is {bookingId,
vmId, hostId, path, amounts: JSON text, groups: JSON text, frees: [{bookingId, vmId, hostId}], set}.

KEYS[1]    meta          hash: incarnation, fence, seq
KEYS[2]    log           stream: one entry for the whole batch
KEYS[3]    reserved      sorted set: VM ids by time of booking, ms
KEYS[4]    vms           set: VM ids
KEYS[5]    groups        set: keys of groups
ARGV[1]    incarnation   of the ledger that the decisions were made on
ARGV[2]    fence         number of the caller's turn
ARGV[3]    seen          highest seq that the caller has seen in this incarnation
ARGV[4]    logLengthMax  entries that the log keeps, about
ARGV[5]    prefixes      JSON: {host, vm, group}: what their keys begin with
ARGV[6]    bookings      JSON list; groups and set are absent where there are none
Returns    DONE          seq, log entry or '', JSON as books.sums has it (used, groups), JSON list:
Returns    BOOKED        it is, or already was, booked
Returns    TAKEN         the VM has another booking
Returns    FREED         a booking that it was to take the place of is gone
Returns    CLOSED        the host takes no VMs, is over-full, or is not known
Returns    GROUP         key of the group of which a hard rule would be broken; after a blank
Returns    INSUFFICIENT  class, requested, used, limit; divided by blanks
Returns    SET           another booking of its set was refused
Returns    FOREIGN       nothing done: there is no ledger, or another one
Returns    FENCED        nothing done: a later turn has begun
Returns    ROLLED_BACK   nothing done: Redis has lost changes
Keeps      I1 I2 I3 I12
]]
local incarnation, fence, seq = unpack(redis.call('HMGET', KEYS[1], 'incarnation', 'fence', 'seq'))
if incarnation ~= ARGV[1] then return { 'FOREIGN' } end
if tonumber(fence or 0) > tonumber(ARGV[2]) then return { 'FENCED' } end
if tonumber(seq) < tonumber(ARGV[3]) then return { 'ROLLED_BACK' } end
books.prefix = cjson.decode(ARGV[5])
local bookings, outcomes = cjson.decode(ARGV[6]), {}

-- Whether the host takes the booking, what it frees being given back already.
local function verdict(asked)
  local host = books.host(asked.hostId)
  if not host.isUp then return 'CLOSED' end
  for class, used in pairs(host.used) do
    if used > (host.limit[class] or 0) then return 'CLOSED' end
  end
  for _, member in ipairs(cjson.decode(asked.groups or '[]')) do
    local counts, policy = books.group(member.key), member.policy
    local members, exclusive = unpack(counts[asked.hostId] or { 0, 0 })
    local isAlone = members == 0 and next(counts)
    if exclusive > 0 or (policy == 'anti-affinity' and members > 0)
      or (policy == 'affinity' and isAlone) then return 'GROUP ' .. member.key end
  end
  for class, amount in pairs(cjson.decode(asked.amounts)) do
    local used, limit = host.used[class] or 0, host.limit[class] or 0
    if used + amount > limit then
      return string.format('INSUFFICIENT %s %.0f %.0f %.0f', class, amount, used, limit)
    end
  end
  return 'BOOKED'
end

local function free(asked)
  local freed = {}
  for _, old in ipairs(asked.frees) do
    local standing = books.vm(old.vmId)
    if not standing or standing.booking ~= old.bookingId or standing.host ~= old.hostId then
      return nil
    end
    freed[#freed + 1] = standing
    books.hold(old.vmId, false)
  end
  return freed
end

local function book(asked)
  local standing, isFreed, mark = books.vm(asked.vmId), false, #books.journal
  if standing and standing.booking == asked.bookingId then return 'BOOKED' end
  for _, old in ipairs(asked.frees) do isFreed = isFreed or old.vmId == asked.vmId end
  if standing and not isFreed then return 'TAKEN' end
  local freed = free(asked)
  local outcome = freed and verdict(asked) or 'FREED'
  if outcome == 'BOOKED' then
    books.hold(asked.vmId, { vmId = asked.vmId, booking = asked.bookingId, host = asked.hostId,
      path = asked.path, amounts = asked.amounts, groups = asked.groups,
      frees = #freed > 0 and cjson.encode(freed) or nil })
  else
    books.undo(mark)
  end
  return outcome
end

-- The mirror shows proposals already: it is told how things stand wherever it was changed.
for _, asked in ipairs(bookings) do
  books.host(asked.hostId)
  for _, old in ipairs(asked.frees) do books.host(old.hostId) end
  for _, member in ipairs(cjson.decode(asked.groups or '[]')) do books.touch(member.key, asked.hostId) end
end
for i, first in ipairs(bookings) do
  local mark, isRefused = #books.journal, false
  local last = first.set and #bookings or i
  for j = i, last do
    if not outcomes[j] and bookings[j].set == first.set then
      outcomes[j] = book(bookings[j])
      isRefused = isRefused or outcomes[j] ~= 'BOOKED'
    end
  end
  if isRefused and first.set then
    books.undo(mark)
    for j = i, last do
      if bookings[j].set == first.set and outcomes[j] == 'BOOKED' then outcomes[j] = 'SET' end
    end
  end
end

local used, groups = books.sums()
local key = { meta = KEYS[1], log = KEYS[2], reserved = KEYS[3], vms = KEYS[4], groups = KEYS[5] }
local nextSeq, entry = books.write(key, seq, ARGV[4], used, groups)
return { 'DONE', nextSeq, entry, used, groups, cjson.encode(outcomes) }
