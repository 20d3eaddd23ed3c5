-- Requests on their way in: opened, loaded chunk by chunk, sealed; or refused.
--
-- A part's record: `hash` of its content, `tot`, `dup`, `got` destinations that came, `next` chunk, `ok` 1 if sealed, `bad` 1 if a
-- destination came twice.
local PARTS_WITHIN = 24 * 3600 * 1000

local function blank(id, h)
  return { h = h, id = id, life = 'R', tot = 0, dup = 0, n = { 0, 0, 0, 0, 0, 0, 0, 0, 0 }, sv = 0, sq = 0, uc = 0,
    np = 1, ns = 0, ba = { 0 }, rt = 0, mc = 0, pr = 5, nl = 0, so = 0 }
end

local function part_key(r) return Req.key(r.h) .. ':parts' end

local function part_of_request(r, part)
  local raw = call('HGET', part_key(r), part)
  return raw and unpack_(raw) or nil
end

local function put_part(r, part, load) call('HSET', part_key(r), part, pack(load)) end

function Intake.open(h, id, header, common, part, count, hash, total, duplicates, priority, schedule, expiry, ring, longest,
                     window, flow, trace)
  Once.taken_in(id)
  local r = Req.get(h)
  if r and (r.id ~= id or r.lost) then return { 'conflict' } end
  if not r or r.life == 'R' then
    local anew = blank(id, h)
    if r then
      -- A rejected request may come again, put right. Its events go on counting.
      anew.sq, anew.ls, anew.lm = r.sq, r.ls, r.lm
      call('ZREM', P .. 'due', 'R' .. h)
      call('HDEL', Req.key(h), 'ref')
    end
    r = anew
    r.life, r.cr, r.np, r.cm, r.pr = 'L', now, count, common, priority
    r.sch, r.exp, r.rt, r.mc, r.win, r.fh = schedule, expiry, ring, longest, window, flow
    r.tp = trace ~= '' and trace or nil
    Req.put(r)
    call('HSET', Req.key(h), 'hd', header)
    -- A version that knew no notes may have dropped one of this name.
    call('UNLINK', Req.key(h) .. ':n')
    call('SADD', P .. 'requests', h)
    call('ZADD', P .. 'due', text(now + PARTS_WITHIN), 'P' .. h)
  end
  if r.cm ~= common or part >= r.np then return { 'conflict' } end
  local there = part_of_request(r, part)
  if there then
    if there.hash ~= hash then return { 'conflict' } end
    if there.ok or r.life == 'C' then return { 'known', Req.summary(r) } end
    return { 'load', there.next }
  end
  -- Ended before this part came: cancelled, or too late.
  if r.life == 'C' then return { 'known', Req.summary(r) } end
  -- The header of a request in parts is that of its first part, in whatever order they come.
  if part == 0 then
    call('HSET', Req.key(h), 'hd', header)
    r.tp = trace ~= '' and trace or nil
    Req.changed(r)
  end
  put_part(r, part, { hash = hash, tot = total, dup = duplicates, got = 0, next = 0 })
  return { 'load', 0 }
end

-- `runs` of entries that follow one another: first index, then entries.
function Intake.chunk(h, part, number_, zones, count, largest, blob, runs)
  local r = Req.accepted(h)
  local load = r and part_of_request(r, part)
  if not load then return { 'missing' } end
  if load.ok or r.life == 'C' or number_ ~= load.next then return { 'expected', load.next } end
  if largest >= load.tot then return { 'refused', 'destination ' .. largest .. ' of a part of ' .. load.tot } end
  local key = Req.key(h)
  for _, run in ipairs(runs) do
    local at = run[1] * ENTRY_SIZE
    local before = call('GETRANGE', key .. ':p' .. part, text(at), text(at + #run[2] - 1))
    if string.find(before, '[^%z]') then load.bad = 1 end
    call('SETRANGE', key .. ':p' .. part, text(at), run[2])
  end
  load.got, load.next = load.got + count, number_ + 1
  put_part(r, part, load)
  if count > 0 then
    local lane = call('HGET', key .. ':zones', 't' .. zones)
    if not lane then
      lane = r.nl
      r.nl = r.nl + 1
      Req.changed(r)
      call('HSET', key .. ':zones', 't' .. zones, lane, 'z' .. lane, zones)
      call('HSET', key .. ':lanes', lane, pack({ op = 0, un = -1, pos = 0, off = 0, nb = 0, nq = 0 }))
    end
    local name = part .. '.' .. number_
    call('HSET', key .. ':zones', 'c' .. name, lane)
    call('ZADD', key .. ':k' .. lane, part * 1048576 + number_, name)
    call('SET', key .. ':c' .. name, blob)
  end
  return { 'stored' }
end

-- What sealing a request meant, as long as nobody has confirmed it: asked twice, it is told twice.
local function seal_events(r)
  local events = {}
  for _, event in ipairs(Req.unconfirmed(r.h)) do
    local kind = event[2]
    if kind == 'accepted' or kind == 'scheduled' or (kind == 'completed' and event[4][3] == 0) then
      events[#events + 1] = event
    end
  end
  return events
end

-- Makes a request's sealed parts into its calls.
function Req.assemble(r)
  O.seal, org_changed = O.seal + 1, true
  call('ZREM', P .. 'due', 'P' .. r.h)
  r.life, r.so, r.sa, r.ba = 'C', O.seal, now, {}
  local base = 0
  for part = 0, r.np - 1 do
    r.ba[part + 1] = base
    local load = part_of_request(r, part)
    if load and load.ok then base = base + load.tot end
  end
  Req.changed(r)
end

function Intake.seal(h, part)
  local r = Req.accepted(h)
  local load = r and part_of_request(r, part)
  if not load then return { 'missing' } end
  if load.ok or r.life == 'C' then return { 'done', Req.summary(r), seal_events(r) } end
  if load.bad or load.got ~= load.tot then
    return { 'refused', 'part ' .. part .. ' has ' .. load.got .. ' of ' .. load.tot .. ' destinations' }
  end
  load.ok = 1
  put_part(r, part, load)
  r.tot, r.dup, r.ns = r.tot + load.tot, r.dup + load.dup, r.ns + 1
  r.n[QUEUED] = r.tot
  Req.changed(r)
  if r.ns < r.np then return { 'done', Req.summary(r), {} } end
  Req.assemble(r)
  Req.emit(r, 'accepted')
  if r.sch and r.sch > now then
    call('ZADD', P .. 'due', text(r.sch), 'S' .. h)
    Req.emit(r, 'scheduled')
  end
  if r.exp then call('ZADD', P .. 'due', text(r.exp), 'E' .. h) end
  Req.refresh(r)
  Req.check_rest(r)
  woke = true
  return { 'done', Req.summary(r), seal_events(r) }
end

function Intake.reject(h, id, refusal, trace)
  Once.taken_in(id)
  local r = Req.get(h)
  -- Another request whose name has the same hash is left alone, and so is its record.
  if not r then
    r = blank(id, h)
    Req.put(r)
    call('SADD', P .. 'requests', h)
  end
  local key = Req.key(h)
  local summary = { id, 'failed', 0, 0, { 0, 0, 0, 0, 0, 0, 0, 0, 0 }, '', refusal, trace }
  local before = call('HMGET', key, 'lr', 'le')
  -- The same refusal again: nobody can tell a repeated question from a repeated mistake, so it is one event.
  if before[1] == refusal then return { summary, { unpack_(before[2]) } } end
  if r.life == 'R' then
    call('HSET', key, 'ref', refusal)
    r.ref, r.en = 1, now
    Req.changed(r)
  end
  local event = Req.emit(r, 'rejected', summary)
  call('HSET', key, 'lr', refusal, 'le', pack(event))
  if r.life == 'R' then Req.keep(r) end
  return { summary, { event } }
end

-- Notes that the store has lost a request: its name is not taken again, so that nobody is called a second time.
function Intake.lost(h, id)
  local r = Req.get(h)
  -- Handed in anew, and not taken yet: whoever does so is told that the name is taken.
  if r and r.life == 'L' then
    Req.drop(r)
    r = nil
  end
  if not r then
    r = blank(id, h)
    -- Its events had numbers that are lost with it, and are ids: this is past all of them, and past an earlier loss.
    r.sq = floor(now / 1000)
    Req.put(r)
    call('SADD', P .. 'requests', h)
  end
  -- Somebody has handed it in anew meanwhile.
  if r.lost or r.life ~= 'R' then return nil end
  r.lost, r.en = 1, now
  Req.keep(r)
  return Req.emit(r, 'lost')
end

-- Gives up on parts that did not come in time.
function Intake.give_up(r)
  local missing = {}
  for part = 0, r.np - 1 do
    local load = part_of_request(r, part)
    if not (load and load.ok) then missing[#missing + 1] = part end
  end
  -- Nothing of it was acknowledged, so it may come again; to nobody does it exist.
  if #missing == r.np then return Req.drop(r) end
  local shown = table.concat(missing, ', ', 1, min(20, #missing))
  local message = #missing .. ' of ' .. r.np .. ' parts did not come within 24 hours: ' .. shown
  call('HSET', Req.key(r.h), 'ref', cjson.encode({ reason = 'invalid', error_count = 1,
    errors = { { path = 'part', message = message } } }))
  r.ref = 1
  return Req.end_waiting(r, 'I')
end

-- Forgets a request of which nothing is held and nothing unconfirmed.
function Req.drop(r)
  local h, key = r.h, Req.key(r.h)
  Once.taken_in(r.id)
  if r.tk then Turns.leave(r) end
  Listing.drop(r)
  for lane = 0, r.nl - 1 do
    for _, chunk in ipairs(call('ZRANGE', key .. ':k' .. lane, '0', '-1')) do call('UNLINK', key .. ':c' .. chunk) end
    call('UNLINK', key .. ':k' .. lane, key .. ':b' .. lane, key .. ':q' .. lane)
  end
  for part = 0, r.np - 1 do call('UNLINK', key .. ':p' .. part) end
  call('UNLINK', key, key .. ':ev', key .. ':z', key .. ':parts', key .. ':zones', key .. ':lanes', key .. ':n')
  call('ZREM', P .. 'due', 'S' .. h, 'E' .. h, 'P' .. h, 'R' .. h)
  call('ZREM', P .. 'timers', h)
  call('ZREM', P .. 'rout', h)
  call('SREM', P .. 'requests', h)
  records[h], records_changed[h], lanes[h], lanes_changed[h] = false, nil, nil, nil
end
