--[[
release: gives one booking back. A second call, or one that names an older booking, does nothing.
A booking that was never committed leaves as if it had not been made: what it took the place of is
put back, uncommitted, for whoever settles such bookings to ask the catalogue about.

KEYS[1]    meta          hash: incarnation, seq
KEYS[2]    log           stream of changes
ARGV[1]    bookingId     names the booking and no other
ARGV[2]    vmId          the VM that has it
ARGV[3]    hostId        the host that it is on
ARGV[4]    logLengthMax  entries that the log keeps, about
ARGV[5]    prefix        of all keys of the cell
Returns    RELEASED      the booking holds nothing any more
Returns    UNKNOWN       nothing done: the VM has no booking, or another one
Returns    NO_LEDGER     nothing done: a rebuild will bring the ledger
Keeps      I2 I3 I12
]]
local incarnation, seq = unpack(redis.call('HMGET', KEYS[1], 'incarnation', 'seq'))
if not incarnation then return { 'NO_LEDGER' } end
local ledger = ARGV[5] .. incarnation .. ':'
books.prefix = { host = ledger .. 'host:', vm = ledger .. 'vm:', group = ledger .. 'group:' }
local vm = books.vm(ARGV[2])
if not vm or vm.booking ~= ARGV[1] or vm.host ~= ARGV[3] then return { 'UNKNOWN' } end

books.hold(ARGV[2], false)
if vm.state == 'reserved' then
  for _, freed in ipairs(cjson.decode(vm.frees or '[]')) do
    if not books.vm(freed.vmId) then books.hold(freed.vmId, freed) end
  end
end
local used, groups = books.sums()
local key = { meta = KEYS[1], log = KEYS[2], reserved = ledger .. 'reserved', vms = ledger .. 'vms',
  groups = ledger .. 'groups' }
books.write(key, seq, ARGV[4], used, groups)
return { 'RELEASED' }
