-- One organisation: its record, its slots, its rate, and what the ready ring is to hear of it.
--
-- These parts make one chunk, which a server runs once if it keeps functions, and anew for every call as a script. Whatever
-- belongs to one call is therefore set by `begin`, and by what is entered in `anew`.

-- What the server offers is there from the first call on.
local call, pcall_, pack, unpack_, floor, max, min

-- Later than anything that will happen; exact as a double.
local NEVER = 9000000000000000
local TTL, BATCH, TURN = 30000, 64, 8
-- How often an organisation is looked at although nothing is known to change: hints may have been lost.
local CADENCE = 15000
-- How often one is looked at that waits for slots which others hold.
local POLL = 1000
-- After so long, what its publisher did not confirm is somebody else's to publish.
local UNHEARD = 30000

-- The prefix of everything that is the organisation's, the time in milliseconds, the limit of an organisation that has none
-- of its own, and what was asked.
local P, now, default_limit, args, next_arg

-- Numbers as text: `..` keeps fourteen digits only.
local function text(number) return string.format('%d', number) end

local function arg()
  next_arg = next_arg + 1
  return args[next_arg]
end
local function number() return tonumber(arg()) end

-- The organisation's record. `w` weight, `ord` 1 if first come first served, `cps` calls a second, `ret` retention in
-- seconds; `und` claimed and not dialled, `arr` arrival time of its rate, `tok` last token, `seal` last place in the order of
-- sealing, `tn` turns by priority, `line` second legs that wait; `told`, `look`, `v` what the ring was last told.
local Org = {}
local O, org_changed

-- What the ring is to hear besides: destinations given and taken back, and whether somebody who waits may go on.
local given, taken_back, woke, freed
-- Whether it is to be looked at at once.
local urgent

local slots

-- What other parts set for a call.
local anew = {}

-- Sets everything for one call: `keys` and `argv` as the server hands them over.
local function begin(keys, argv)
  call, pcall_, pack, unpack_ = redis.call, redis.pcall, cmsgpack.pack, cmsgpack.unpack
  floor, max, min = math.floor, math.max, math.min
  P, args, next_arg, now, default_limit = keys[1], argv, 2, tonumber(argv[1]), tonumber(argv[2])
  if not now then
    local time = call('TIME')
    now = tonumber(time[1]) * 1000 + floor(tonumber(time[2]) / 1000)
  end
  O = call('GET', P .. 'o')
  if O then
    O = unpack_(O)
  else
    -- Tokens and versions begin anew beyond all that were ever given, should the record have been lost.
    O = { w = 1, ord = 0, ret = 604800, und = 0, arr = 0, tok = now * 1000, seal = 0, told = 0, look = NEVER,
      v = now * 1000, tn = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, line = {}, born = now }
  end
  org_changed, given, taken_back, woke, freed, urgent, slots = false, 0, 0, false, false, false, nil
  for _, set in ipairs(anew) do set() end
end

local function read_slots()
  if slots then return slots end
  local ext, limit = pcall_('GET', P .. 'external'), pcall_('GET', P .. 'limit')
  slots = { leased = call('ZCARD', P .. 'leases') }
  -- Only decimal digits are believed; a counter below nothing is nothing, and one that cannot be read is everything.
  if ext == false then
    slots.ext = 0
  elseif type(ext) == 'string' then
    local sign, digits = string.match(ext, '^(%-?)(%d+)$')
    if digits then slots.ext = sign == '-' and 0 or min(tonumber(digits), 4294967295) end
  end
  if limit == false then
    slots.limit = default_limit
  elseif type(limit) == 'string' and string.match(limit, '^%d+$') then
    slots.limit = min(tonumber(limit), 4294967295)
  else
    slots.limit = 0
  end
  return slots
end

-- Slots that nobody holds, if `leased` of them are held by us.
function Org.free(leased)
  local s = read_slots()
  if not s.ext then return 0 end
  return max(0, max(0, s.limit - s.ext) - leased)
end

function Org.leased() return read_slots().leased end

-- Whether a slot among those leased may be kept by somebody who has not dialled yet.
function Org.may_keep() return Org.free(max(0, Org.leased() - 1)) > 0 end

function Org.lease(member)
  local s = read_slots()
  s.leased = s.leased + call('ZADD', P .. 'leases', text(now + TTL), member)
end

function Org.unlease(member)
  local s = read_slots()
  local gone = call('ZREM', P .. 'leases', member)
  s.leased = s.leased - gone
  if gone > 0 then freed = true end
  return gone > 0
end

-- Never less than the time: should the last moments before a crash be lost, no token that was given in them comes again.
function Org.token()
  O.tok, org_changed = max(O.tok + 1, now * 1000), true
  return O.tok
end

-- Whether a token was given in an earlier life of this record, or in moments of it that were lost.
function Org.forgot(token) return token > O.tok or token < O.born * 1000 end

-- Drops second legs from the line for which `gone` holds.
function Org.leave_line(gone)
  if #O.line == 0 then return false end
  local kept, dropped = {}, false
  for _, waiter in ipairs(O.line) do
    if gone(waiter) then dropped = true else kept[#kept + 1] = waiter end
  end
  if dropped then O.line, org_changed = kept, true end
  return dropped
end

function Org.prune_line()
  Org.leave_line(function(waiter) return waiter[2] <= now end)
end

-- Calls a second: the generic cell rate algorithm, in microseconds; a tenth of a second's worth may be caught up.
local Rate = {}
local function pace(per_second)
  local rate = min(per_second, 1000000)
  if rate <= 0 then return nil end
  local spacing = floor((1000000 + rate - 1) / rate)
  local burst = max(floor(rate / 10), 1)
  return spacing, burst, (burst - 1) * spacing
end

-- How many of `want` dials are allowed now; the arrival time if they are made.
function Rate.allow(want)
  if not O.cps then return want, O.arr end
  local spacing, _, tolerance = pace(O.cps)
  if not spacing then return 0, O.arr end
  local micros = now * 1000
  local base = max(O.arr, micros)
  local ready = micros + tolerance - base
  local room = ready < 0 and 0 or floor(ready / spacing) + 1
  local allowed = min(room, want)
  return allowed, allowed > 0 and base + allowed * spacing or O.arr
end

-- How many more than are claimed may be dialled within some milliseconds, as far as the rate goes.
function Rate.within(horizon)
  if not O.cps then return 4294967295 end
  local spacing, _, tolerance = pace(O.cps)
  if not spacing then return 0 end
  local ready = (now + horizon) * 1000 + tolerance - max(O.arr, now * 1000)
  return max(0, (ready < 0 and 0 or floor(ready / spacing) + 1) - O.und)
end

-- When one more may be claimed as far as the rate goes; none if that does not come by itself.
function Rate.next()
  local spacing, burst, tolerance = pace(O.cps)
  local count = O.und + 1
  if not spacing or count > burst then return nil end
  return math.ceil((O.arr - (tolerance - (count - 1) * spacing)) / 1000)
end

-- How many more may be claimed as far as the rate goes: what is claimed and not dialled will use it too.
function Rate.allowance() return max(0, (Rate.allow(4294967295)) - O.und) end
