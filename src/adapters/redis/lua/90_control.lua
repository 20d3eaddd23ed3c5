-- Requests and the organisation as a whole: commands, Status, settings, what leaves, and what time alone brings.
local Control = {}
-- How much longer a request is kept whose events are not out when its retention is over.
local GRACE = 60000

function Control.request(h, what, id, actor, expected)
  local r = Req.accepted(h)
  -- Of what nothing was acknowledged its submitter knows nothing yet.
  if not r or (r.life ~= 'C' and r.ns == 0) then return { 'missing' } end
  local before, summary, seq = Once.given(id)
  if before then
    if before ~= what .. ' ' .. h then return { 'taken' } end
    local events = {}
    for _, unheard in ipairs(Req.unconfirmed(h)) do
      if unheard[1] == seq then events[1] = unheard end
    end
    return { 'again', summary, events, Owner.of_request(r) }
  end
  local found = Req.status(r)
  if expected ~= '' and found ~= expected then return { 'unmet', found } end
  local closed = r.ov or r.en
  local command = id ~= '' and { what == 'hangup' and 'cancel' or what, id, actor } or nil
  local event
  if what == 'pause' and not closed and not r.pau then
    r.pau, r.cb = 1, command
    event = Req.emit(r, 'paused')
  elseif what == 'resume' and not closed and r.pau then
    r.pau, r.cb = nil, command
    event, freed = Req.emit(r, 'resumed'), true
  elseif what == 'cancel' or what == 'hangup' then
    -- Whoever only stopped the dialling before may still want the rest to end.
    if what == 'hangup' then r.hu = 1 end
    Req.changed(r)
    if not closed then
      r.cb = command
      event = Req.end_waiting(r, 'C')
    end
  end
  Req.refresh(r)
  summary = Req.summary(r)
  Once.give(id, what .. ' ' .. h, summary, event)
  return { 'done', summary, { event }, Owner.of_request(r) }
end

function Control.show(h)
  local r = Req.get(h)
  if not r then return {} end
  return { Req.summary(r), r.life ~= 'R' and 1 or 0, r.sa or -1 }
end

function Control.header(h) return call('HGET', Req.key(h), 'hd') or '' end

-- Of each call from an index on, one after the other: its index, status, whether it is held, the lengths of its destination and
-- its facts, and these. As lists they would take longer to be answered than to be found.
function Control.calls(h, from, limit)
  local r = Req.get(h)
  if not r then return { 'missing' } end
  local found, resting = Entry.range(r, from, min(from + limit, r.tot) - 1), {}
  for _, e in ipairs(found) do
    if e.cl > 0 then
      -- What has ended for good is held by nobody.
      if not Req.is_final(e.st) then e.facts = call('HGET', Live.key(Entry.call_id(h, e.index)), 'f') end
      if not e.facts then resting[#resting + 1] = e.index end
    end
  end
  local laid_down, shown = Facts.of_several(r, resting), {}
  for i, e in ipairs(found) do
    local facts = e.facts or laid_down[e.index] or ''
    local head = struct.pack('>I4BBI4I4', e.index, e.st, e.facts and 1 or 0, #e.destination, #facts)
    shown[i] = head .. e.destination .. facts
  end
  return { 'done', r.ov or '', table.concat(shown) }
end

-- Without a limit its key stays as it is: other applications write it, too.
function Control.set_organisation(settings, limit, weight, order, per_second, retention)
  local before_order, before_retention = O.ord, O.ret
  O.w, O.ord, O.cps, O.ret, org_changed = weight, order, per_second, retention, true
  call('SET', P .. 'settings', settings)
  if limit ~= '' then call('SET', P .. 'limit', limit) end
  slots, freed = nil, true
  if O.ord ~= before_order or O.ret ~= before_retention then
    for _, h in ipairs(call('SMEMBERS', P .. 'requests')) do
      local r = Req.get(h)
      if r then
        Turns.requeue(r)
        Req.keep(r)
      end
    end
  end
end

function Control.organisation()
  return { call('GET', P .. 'settings') or '', text(read_slots().limit) }
end

-- Whether it is still as somebody has read it; a limit that is not given may be any.
function Control.is_organisation(settings, limit)
  return (call('GET', P .. 'settings') or '') == settings and (not limit or read_slots().limit == limit)
end

function Control.set_external(value)
  if value then call('SET', P .. 'external', value) else call('DEL', P .. 'external') end
  slots, freed = nil, true
end

function Control.slots()
  local s = read_slots()
  return { text(s.limit), text(s.ext or 4294967295), s.leased, call('ZCOUNT', P .. 'leases', '-inf', text(now)) }
end

-- Most requests that are looked at to tell how an organisation stands: whoever dials waits meanwhile.
local LOOKED_AT = 100

-- Destinations of a request that could be dialled now, and within `horizon`: a lane's fresh ones are not counted by lane,
-- so all of them count as soon as one of these lanes may be called.
local function waiting(r, horizon)
  local due, soon, fresh_due, fresh_soon = 0, 0, false, false
  if r.pau or not Req.is_open(r) or (r.sch and r.sch > now + horizon) then return 0, 0 end
  for _, lane in ipairs(Lane.all(r)) do
    local open, until_ = Lane.window(r, lane)
    local from = max(open and now or until_, Req.waits(r) and r.sch or now)
    if not lane.asked and from <= now + horizon then
      local fresh = lane.nb > 0 or not lane.dn
      fresh_soon, fresh_due = fresh_soon or fresh, fresh_due or (fresh and from <= now)
      if lane.nq > 0 then
        local key = Req.key(r.h) .. ':q' .. lane.no
        soon = soon + call('ZCOUNT', key, '-inf', text(now + horizon))
        if from <= now then due = due + call('ZCOUNT', key, '-inf', text(now)) end
      end
    end
  end
  -- Retries that are claimed stand in no lane.
  local fresh_left = max(0, r.n[QUEUED] - (r.cq or 0))
  return due + (fresh_due and fresh_left or 0), soon + (fresh_soon and fresh_left or 0)
end

-- The same of several, as many as `total` of their kind.
local function waiting_of(places, total, horizon)
  local due, soon = 0, 0
  for _, h in ipairs(places) do
    local r = Req.get(h)
    if r then
      local now_, later = waiting(r, horizon)
      due, soon = due + now_, soon + later
    end
  end
  local scale = max(1, total / max(1, #places))
  return floor(due * scale), floor(soon * scale)
end

-- Its slots, and how many destinations are due now and within `horizon`.
function Control.standing(horizon)
  local turns, until_ = call('ZCARD', P .. 'turns'), text(now + horizon)
  local timers = call('ZCOUNT', P .. 'timers', '-inf', until_)
  -- Each request stands in one of the two.
  local looked = min(turns, max(LOOKED_AT / 2, LOOKED_AT - timers))
  local at_turn = looked > 0 and call('ZRANGE', P .. 'turns', '0', text(looked - 1)) or {}
  for i, member in ipairs(at_turn) do at_turn[i] = string.sub(member, 14) end
  local in_time = call('ZRANGEBYSCORE', P .. 'timers', '-inf', until_, 'LIMIT', '0', text(LOOKED_AT - looked))
  local due, soon = waiting_of(at_turn, turns, horizon)
  local due_in_time, soon_in_time = waiting_of(in_time, timers, horizon)
  local s = Control.slots()
  s[#s + 1] = min(due + due_in_time, Rate.within(0))
  s[#s + 1] = min(soon + soon_in_time, Rate.within(horizon))
  return s
end

function Control.confirm_call(id, seq)
  local h, index = Entry.split(id)
  local r = Req.get(h)
  local e = r and Entry.get(r, index)
  if not e then return end
  local raw = call('HGET', Live.key(id), 'x')
  local live = raw and unpack_(raw)
  local rest = live or Facts.rest(r, index)
  local before = e.co
  e.co = max(before, min(seq, rest.e))
  if e.co == before then return end
  Entry.put(e)
  if not live and e.co == rest.e and call('ZREM', P .. 'out', id) > 0 then
    r.uc = max(0, r.uc - 1)
    Req.changed(r)
  end
end

function Control.confirm_request(h, seq)
  -- Whoever confirms a later event may never have heard of an earlier one.
  if call('HDEL', Req.key(h) .. ':ev', seq) == 0 then return end
  local left = Req.unconfirmed(h)
  if left[1] then call('ZADD', P .. 'rout', left[1][3], h) else call('ZREM', P .. 'rout', h) end
end

-- Requests' events, so that whoever listens hears of a request before its calls; calls; of the organisation's own at most
-- `share`.
function Control.unconfirmed(before, limit, share)
  local events, calls, changes = {}, {}, {}
  for _, h in ipairs(call('ZRANGEBYSCORE', P .. 'rout', '-inf', '(' .. text(before), 'LIMIT', 0, limit)) do
    for _, change in ipairs(h == OWN and Changes.unconfirmed(share) or {}) do
      if change[2] < before then changes[#changes + 1] = change end
    end
    for _, event in ipairs(Req.unconfirmed(h)) do
      if event[3] < before and #events < limit then events[#events + 1] = event end
    end
  end
  local function add(id, must_be_older)
    local h, index = Entry.split(id)
    local r = index and Req.get(h)
    local e = r and Entry.get(r, index)
    if not e or #events + #calls >= limit then return end
    local x, facts = Live.get(id)
    if must_be_older and not (x and e.co < x.e and x.la < before) then return end
    if not x then x, facts = Facts.rest(r, index) end
    calls[#calls + 1] = { id, Entry.destination(r, e), r.sa, facts, e.co, r.id }
  end
  for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'out', '-inf', '(' .. text(before), 'LIMIT', 0, limit)) do add(id) end
  -- What a suspect's owner has not published, perhaps nobody will.
  for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'leases', '-inf', text(now))) do add(id, true) end
  return { events, calls, changes }
end

-- What time alone brings: schedules, expiry, parts that never came, retention. Says too how many are suspect.
function Control.look()
  local events = {}
  for _, what in ipairs(call('ZRANGEBYSCORE', P .. 'due', '-inf', text(now))) do
    local kind, h = string.sub(what, 1, 1), string.sub(what, 2)
    local r = string.find('SEPR', kind, 1, true) and Req.get(h)
    if r and call('ZREM', P .. 'due', what) > 0 then
      if kind == 'S' then
        Req.changed(r)
        Req.refresh(r)
      elseif kind == 'E' then
        if not r.ov and not r.en then events[#events + 1] = Req.end_waiting(r, 'E') end
      elseif kind == 'P' then
        events[#events + 1] = Intake.give_up(r)
      elseif r.uc > 0 or call('HLEN', Req.key(h) .. ':ev') > 0 then
        -- What nobody has heard of must not be forgotten.
        r.ku = now + GRACE
        Req.changed(r)
        call('ZADD', P .. 'due', text(r.ku), what)
      else
        Req.drop(r)
      end
    end
  end
  Req.run_timers()
  Owner.prune_line()
  Owner.drop_lost()
  return { events, call('ZCOUNT', P .. 'leases', '-inf', text(now)) }
end

-- What the windows of a request's lanes are, as read on their clocks.
function Control.windows(h, count)
  local r = Req.get(h)
  for _ = 1, count do
    local no, open, until_ = number(), number(), number()
    local lane = r and Lane.all(r)[no + 1]
    if lane then
      lane.op, lane.un = open, until_
      Lane.changed(r, lane)
    end
  end
  if r and r.life == 'C' then Req.refresh(r) end
end
