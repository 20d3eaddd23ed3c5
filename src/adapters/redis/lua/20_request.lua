-- A request's record, its calls' entries, and its own events.
--
-- The record: `id`, `life` (L loading, C complete, R only rejected), `cr` since when it loads, `sa` sealed at, `so` order of
-- sealing, `tot`, `dup`, `n` counts by status, `pau` paused, `ov` over as a whole (C cancelled, E expired, I incomplete), `hu`
-- hang up, `st` started, `en` ended at, `ku` kept until, `sv` served, `tk` score among the turns, `tm` timer, `sq` last event,
-- `uc` calls at rest with unconfirmed events, `np` parts, `ns` sealed parts, `ba` first index of each part, `rt` and `mc` ring time
-- and longest call in ms, `exp`, `sch`, `pr` priority, `win` 1 if it has a calling window, `nl` lanes, `cm` hash of what its
-- parts have in common, `fh` hash of its flow, `ref` 1 if it was refused, `cb` name, id
-- and giver (may be empty) of the command that paused, resumed or cancelled it last, `tp` the trace that it belongs to.
local Req, Entry, Facts = {}, {}, {}
local QUEUED, ON_PROGRESS, RETRY, CANCELLED, EXPIRED, BLOCKED = 1, 2, 3, 6, 7, 8

local records, records_changed
anew[#anew + 1] = function() records, records_changed = {}, {} end

function Req.key(h) return P .. 'r:' .. h end

function Req.get(h)
  local r = records[h]
  if r == nil then
    local raw = call('HGET', Req.key(h), 'x')
    r = raw and unpack_(raw) or false
    if r then r.h = h end
    records[h] = r
  end
  return r
end

function Req.put(r)
  records[r.h], records_changed[r.h] = r, true
end

function Req.changed(r) records_changed[r.h] = true end

-- A request that was not merely rejected.
function Req.accepted(h)
  local r = Req.get(h)
  return r and r.life ~= 'R' and r or nil
end

function Req.is_open(r)
  return r.life == 'C' and not r.ov and not r.en and not (r.exp and r.exp <= now)
end

function Req.waits(r) return r.sch and now < r.sch end

function Req.status(r)
  if r.life == 'R' or r.ov == 'I' then return 'failed' end
  if r.ov == 'C' then return 'cancelled' end
  if r.en then return r.ov == 'E' and not r.st and 'expired' or 'completed' end
  if r.pau then return 'paused' end
  if r.st then return 'onProgress' end
  return r.life == 'C' and Req.waits(r) and 'scheduled' or 'submitted'
end

-- Status, total, duplicates, counts, hash of the flow, refusal, trace. The counts are those of now, whatever is done before
-- the answer is written.
function Req.summary(r)
  local refusal, counts = r.ref and call('HGET', Req.key(r.h), 'ref') or '', {}
  for status, count in ipairs(r.n) do counts[status] = count end
  return { r.id, Req.status(r), r.tot, r.dup, counts, r.life ~= 'R' and r.fh or '', refusal, r.tp or '' }
end

function Req.recount(r, from, to)
  r.n[from] = max(0, r.n[from] - 1)
  r.n[to] = r.n[to] + 1
  Req.changed(r)
end

-- Whether a call of that status changes no more.
function Req.is_final(status) return status > RETRY end

function Req.over_status(over) return over == 'C' and CANCELLED or EXPIRED end

local FOLLOWS_A_COMMAND = { paused = true, resumed = true, cancelled = true }

-- Makes an event of the request, as it is now or as `summary` says, with the command that caused it (the last one that was given
-- to it, or another), and keeps it until it is confirmed.
function Req.emit(r, kind, summary, command)
  r.sq = r.sq + 1
  Req.changed(r)
  local event = { r.sq, kind, now, summary or Req.summary(r), command or FOLLOWS_A_COMMAND[kind] and r.cb or nil }
  call('HSET', Req.key(r.h) .. ':ev', text(r.sq), pack(event))
  call('ZADD', P .. 'rout', 'NX', text(now), r.h)
  return event
end

-- Its unconfirmed events, oldest first.
function Req.unconfirmed(h)
  local raw, events = call('HVALS', Req.key(h) .. ':ev'), {}
  for i, event in ipairs(raw) do events[i] = unpack_(event) end
  table.sort(events, function(one, other) return one[1] < other[1] end)
  return events
end

-- Has an ended request dropped when its organisation's retention is over.
function Req.keep(r)
  if not r.en then return end
  r.ku = r.en + O.ret * 1000
  Req.changed(r)
  call('ZADD', P .. 'due', text(r.ku), 'R' .. r.h)
end

-- Ends a request if none of its calls can change any more.
function Req.check_rest(r)
  if r.n[QUEUED] + r.n[ON_PROGRESS] + r.n[RETRY] > 0 or r.en or r.life ~= 'C' then return nil end
  local kind = 'completed'
  if r.ov == 'C' then
    kind = 'cancelled'
  elseif r.ov == 'I' or (r.ov == 'E' and not r.st) then
    kind = 'expired'
  end
  r.en = now
  Req.refresh(r)
  Req.keep(r)
  return Req.emit(r, kind)
end

-- A call's entry: status (0 if its destination never came), chunk, offset, claims, dials, confirmed events.
local ENTRY, ENTRY_SIZE = '>BI2I3I4I2I2', 14
-- More chunks than a part has.
local CHUNKS = 65536

-- The part that an index is of, and the index there.
local function part_of(r, index)
  if r.np == 1 then return 0, index end
  for part = #r.ba, 1, -1 do
    if r.ba[part] <= index then return part - 1, index - r.ba[part] end
  end
end

-- The entries from an index up to another, of one part, as far as they are there; and up to where they are of it.
local function read_entries(r, from, to)
  local part, place = part_of(r, from)
  if r.np > 1 then to = min(to, (r.ba[part + 2] or r.tot) - 1) end
  local key, first, found = Req.key(r.h) .. ':p' .. part, place * ENTRY_SIZE, {}
  local raw = call('GETRANGE', key, text(first), text(first + (to - from + 1) * ENTRY_SIZE - 1))
  for i = 0, floor(#raw / ENTRY_SIZE) - 1 do
    local st, ch, off, cl, di, co = struct.unpack(ENTRY, raw, i * ENTRY_SIZE + 1)
    found[i + 1] = { key = key, at = first + i * ENTRY_SIZE, part = part, index = from + i, st = st, ch = ch, off = off,
      cl = cl, di = di, co = co }
  end
  return found, to
end

function Entry.get(r, index)
  if r.life ~= 'C' or index >= r.tot then return nil end
  return read_entries(r, index, index)[1]
end

-- The entries from an index up to another, and with each its destination as it was loaded: a part and a chunk are read at
-- once, since a page of them one by one would hold everybody up.
function Entry.range(r, from, to)
  local found, by_chunk = {}, {}
  while r.life == 'C' and from <= to do
    local entries, last = read_entries(r, from, to)
    for _, e in ipairs(entries) do
      -- Its destination never came.
      if e.st > 0 then
        found[#found + 1] = e
        local place = e.part * CHUNKS + e.ch
        local chunk = by_chunk[place]
        if not chunk then
          chunk = { key = Req.key(r.h) .. ':c' .. e.part .. '.' .. e.ch, first = e.off, last = e.off }
          by_chunk[place] = chunk
        end
        chunk.first, chunk.last, e.chunk = min(chunk.first, e.off), max(chunk.last, e.off), chunk
      end
    end
    from = last + 1
  end
  for _, chunk in pairs(by_chunk) do
    local raw = call('GETRANGE', chunk.key, text(chunk.first), text(chunk.last + 6))
    local _, length = struct.unpack('>I4I3', raw, chunk.last - chunk.first + 1)
    chunk.raw = raw .. call('GETRANGE', chunk.key, text(chunk.last + 7), text(chunk.last + 6 + length))
  end
  for _, e in ipairs(found) do
    local raw, at = e.chunk.raw, e.off - e.chunk.first + 1
    local _, length = struct.unpack('>I4I3', raw, at)
    e.destination = string.sub(raw, at + 7, at + 6 + length)
  end
  return found
end

function Entry.put(e)
  call('SETRANGE', e.key, text(e.at), struct.pack(ENTRY, e.st, e.ch, e.off, e.cl, e.di, e.co))
end

-- The destination as it was loaded, its number first.
function Entry.destination(r, e)
  local key = Req.key(r.h) .. ':c' .. e.part .. '.' .. e.ch
  local _, length = struct.unpack('>I4I3', call('GETRANGE', key, text(e.off), text(e.off + 6)))
  return call('GETRANGE', key, text(e.off + 7), text(e.off + 6 + length))
end

function Entry.call_id(h, index) return h .. '-' .. text(index) end

-- The request and index of a call.
function Entry.split(id)
  return string.sub(id, 1, 20), tonumber(string.sub(id, 22))
end

-- Facts one after the other, each with its length, whether it is an event, and its time.
local function skip(facts, count)
  local at = 1
  for _ = 1, count do
    local length = struct.unpack('>I2', facts, at)
    at = at + 2 + length
  end
  return at
end

local function count_in(x, facts)
  local at = 1
  while at <= #facts do
    local length, event, time = struct.unpack('>I2BI8', facts, at)
    x.n, x.e, x.la = x.n + 1, x.e + event, time
    at = at + 2 + length
  end
end

Facts.count = count_in

-- Appends to a history of `after` facts those that do not stand there already. The facts then, and whether the new ones are
-- the last; nothing if others stand there.
function Facts.append(x, facts, after, added)
  if after > x.n then return nil end
  local there = after == x.n and '' or string.sub(facts, skip(facts, after))
  if #there > #added then
    if string.sub(there, 1, #added) ~= added then return nil end
    return facts, false
  end
  if string.sub(added, 1, #there) ~= there then return nil end
  local more = string.sub(added, #there + 1)
  count_in(x, more)
  return facts .. more, true
end

-- One more fact, happening now.
function Facts.push(x, facts, event, what)
  x.n, x.e, x.la = x.n + 1, x.e + event, now
  return facts .. struct.pack('>I2BI8', #what + 9, event, now) .. what
end

-- What a call at rest keeps: under which token its last attempt ended, its last fact's time, its events and facts.
local function read_rest(raw)
  if not raw then return { fb = 0, la = 0, e = 0, n = 0 }, '' end
  local x, at = {}, nil
  x.fb, x.la, x.e, x.n, at = struct.unpack('>I8I8I2I2', raw)
  return x, string.sub(raw, at)
end

function Facts.rest(r, index)
  return read_rest(call('HGET', Req.key(r.h) .. ':z', text(index)))
end

-- The facts of several calls at rest, by index.
function Facts.of_several(r, indices)
  local facts, fields = {}, {}
  if #indices == 0 then return facts end
  for i, index in ipairs(indices) do fields[i] = text(index) end
  for i, raw in ipairs(call('HMGET', Req.key(r.h) .. ':z', unpack(fields))) do
    facts[indices[i]] = select(2, read_rest(raw))
  end
  return facts
end

function Facts.lay(r, index, x, facts)
  if x.n == 0 then return end
  call('HSET', Req.key(r.h) .. ':z', text(index), struct.pack('>I8I8I2I2', x.fb, x.la, x.e, x.n) .. facts)
end
