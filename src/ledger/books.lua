--[[
books: the hosts, bookings and groups that a script changes, as they will be when it has run. What
is asked for is read once; nothing is written before `write`, so a script may change its mind.
Stands before the scripts that name it and brings no keys of its own: they tell it the prefixes,
and all keys of a cell have one hash tag.

A booking is what the hash of its VM holds: booking, host, path, amounts (JSON) and, where there are
any, groups (JSON) and frees (JSON: the bookings whose place it took, as they were). A host has used
and limit by class; a group has {members, exclusive} by host id.
]]
local books = { hosts = {}, vms = {}, standing = {}, groups = {}, touched = {}, journal = {} }

local function integer(x) return string.format('%.0f', x) end

function books.host(id)
  if not books.hosts[id] then
    local host, fields = { used = {}, limit = {} }, redis.call('HGETALL', books.prefix.host .. id)
    for f = 1, #fields, 2 do
      local kind, class = string.match(fields[f], '^(%l+):(.+)$')
      if kind then host[kind][class] = tonumber(fields[f + 1]) end
      if fields[f] == 'up' then host.isKnown, host.isUp = true, fields[f + 1] == '1' end
    end
    books.hosts[id] = host
  end
  return books.hosts[id]
end

-- The booking that a VM has; false when it has none.
function books.vm(id)
  if books.vms[id] == nil then
    local vm, fields = { vmId = id }, redis.call('HGETALL', books.prefix.vm .. id)
    for f = 1, #fields, 2 do vm[fields[f]] = fields[f + 1] end
    books.standing[id] = vm.booking and vm or false
    books.vms[id] = books.standing[id]
  end
  return books.vms[id]
end

function books.group(key)
  if not books.groups[key] then
    local counts, fields = {}, redis.call('HGETALL', books.prefix.group .. key)
    for f = 1, #fields, 2 do
      local members, exclusive = string.match(fields[f + 1], '^(%d+) (%d+)$')
      counts[fields[f]] = { tonumber(members), tonumber(exclusive) }
    end
    books.groups[key] = counts
  end
  return books.groups[key]
end

-- The count of a group on a host will be answered, whether or not it changes.
function books.touch(key, hostId)
  books.touched[key] = books.touched[key] or {}
  books.touched[key][hostId] = true
  return books.group(key)
end

-- Many VMs are of the same few sizes.
local amountsOf = setmetatable({}, { __index = function(known, json)
  known[json] = cjson.decode(json)
  return known[json]
end })

-- Counts a booking in (by 1) or out (by -1). Never negative, whatever somebody did by hand.
local function count(vm, by)
  local host = books.host(vm.host)
  for class, amount in pairs(host.isKnown and amountsOf[vm.amounts] or {}) do
    host.used[class] = math.max(0, (host.used[class] or 0) + by * amount)
  end
  for _, member in ipairs(vm.groups and cjson.decode(vm.groups) or {}) do
    local counts = books.touch(member.key, vm.host)
    local here = counts[vm.host] or { 0, 0 }
    local exclusive = member.policy == 'anti-affinity' and by or 0
    local now = { here[1] + by, math.max(0, here[2] + exclusive) }
    counts[vm.host] = now[1] > 0 and now or nil
  end
end

-- Gives a VM this booking in the place of what it has; false: none.
function books.hold(id, vm)
  local before = books.vm(id)
  local function put(old, new)
    if old then count(old, -1) end
    if new then count(new, 1) end
    books.vms[id] = new
  end
  put(before, vm)
  books.journal[#books.journal + 1] = function() put(vm, before) end
end

-- Takes back all that was held since the journal was so long.
function books.undo(length)
  for i = #books.journal, length + 1, -1 do
    books.journal[i]()
    books.journal[i] = nil
  end
end

-- Answers JSON of what is booked on every host that was looked at, and of every count touched.
function books.sums()
  local used, groups = {}, {}
  for id, host in pairs(books.hosts) do
    used[id] = {}
    -- As text: cjson rounds what has more than 14 digits.
    for class, sum in pairs(host.used) do used[id][class] = integer(sum) end
  end
  for key, hostIds in pairs(books.touched) do
    groups[key] = {}
    for id in pairs(hostIds) do groups[key][id] = books.group(key)[id] or { 0, 0 } end
  end
  return cjson.encode(used), cjson.encode(groups)
end

local function writeVm(key, id, vm, now)
  if books.standing[id] then
    redis.call('DEL', books.prefix.vm .. id)
    redis.call('SREM', key.vms, id)
    redis.call('ZREM', key.reserved, id)
  end
  if not vm then return end
  local fields = { 'state', books.areRecorded and 'committed' or 'reserved', 'at', now }
  for _, field in ipairs({ 'booking', 'host', 'path', 'amounts', 'groups',
    books.areRecorded and 'assignment' or 'frees' }) do
    if vm[field] then fields[#fields + 1], fields[#fields + 2] = field, vm[field] end
  end
  redis.call('HSET', books.prefix.vm .. id, unpack(fields))
  redis.call('SADD', key.vms, id)
  if not books.areRecorded then redis.call('ZADD', key.reserved, now, id) end
end

local function writeGroup(key, group, hostIds)
  local name = books.prefix.group .. group
  for id in pairs(hostIds) do
    local counts = books.group(group)[id]
    if counts then
      redis.call('HSET', name, id, integer(counts[1]) .. ' ' .. integer(counts[2]))
    else
      redis.call('HDEL', name, id)
    end
  end
  redis.call(next(books.group(group)) and 'SADD' or 'SREM', key.groups, group)
end

-- The time of Redis in milliseconds, as text.
function books.now()
  local time = redis.call('TIME')
  return integer(time[1] * 1000 + math.floor(time[2] / 1000))
end

-- Writes what has changed. key: names of reserved, vms, groups. With areRecorded, what is held is
-- from the catalogue: committed from the first.
function books.store(key)
  local now = books.now()
  for id, vm in pairs(books.vms) do
    if vm ~= books.standing[id] then writeVm(key, id, vm, now) end
  end
  for id, host in pairs(books.hosts) do
    local fields = {}
    for class, sum in pairs(host.used) do
      fields[#fields + 1], fields[#fields + 2] = 'used:' .. class, integer(sum)
    end
    if #fields > 0 then redis.call('HSET', books.prefix.host .. id, unpack(fields)) end
  end
  for group, hostIds in pairs(books.touched) do writeGroup(key, group, hostIds) end
end

-- The same, and one entry of the log. key: also names of meta and log.
-- Answers the number of the change and the entry's id; the entry is '' when nothing has changed.
function books.write(key, seq, logLengthMax, used, groups)
  if #books.journal == 0 then return seq, '' end
  books.store(key)
  local nextSeq = integer(redis.call('HINCRBY', key.meta, 'seq', 1))
  return nextSeq, redis.call('XADD', key.log, 'maxlen', '~', logLengthMax, '*', 'n', nextSeq,
    'used', used, 'groups', groups)
end
