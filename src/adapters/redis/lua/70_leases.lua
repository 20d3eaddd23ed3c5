-- Slots of second legs, and who looks after what: renewing, suspecting, adopting.
local Owner, Intake = {}, {}
-- How much later than its longest lawful end a call is surely over: the backend's own clock ends it before.
local SURELY = 60000

local function expired_ids() return call('ZRANGEBYSCORE', P .. 'leases', '-inf', text(now)) end

function Owner.request_slot(id, claim, token, leg, until_)
  local _, _, x = Live.held(id, claim, token)
  if not x or x.g ~= 'D' then return Live.refused(id, claim, token) end
  Org.prune_line()
  local member = id .. '.' .. leg
  -- Who asks again has not dialled yet: what was granted before holds only if the limit still allows it.
  for place, held in ipairs(x.legs) do
    if held == leg then
      if Org.may_keep() then return { 'granted' } end
      Org.unlease(member)
      table.remove(x.legs, place)
      Live.put(id, x)
      break
    end
  end
  local stands
  for place, waiter in ipairs(O.line) do
    if waiter[1] == id and waiter[3] == leg then stands = place end
  end
  if Org.free(Org.leased()) > (stands and stands - 1 or #O.line) then
    if stands then table.remove(O.line, stands) end
    org_changed = true
    x.legs[#x.legs + 1] = leg
    Live.put(id, x)
    Org.lease(member)
    return { 'granted' }
  end
  org_changed = true
  if stands then O.line[stands][2] = until_ else O.line[#O.line + 1] = { id, until_, leg } end
  -- Whoever has not renewed is taken out of the line again by the next look.
  if tonumber(call('ZSCORE', P .. 'leases', id) or NEVER) <= now then urgent = true end
  return { 'waiting' }
end

-- Extends every lease of a held call.
local function extend(id, x)
  call('ZADD', P .. 'leases', 'XX', text(now + TTL), id)
  for _, leg in ipairs(x.legs) do call('ZADD', P .. 'leases', 'XX', text(now + TTL), id .. '.' .. leg) end
end

local function renew_one(id, claim, token)
  local raw = call('HGET', Live.key(id), 'x')
  local x = raw and unpack_(raw)
  if not x or x.cl ~= claim or x.t ~= token then return Live.is_behind(id, claim, token) and 3 or 0 end
  extend(id, x)
  local r = Req.get((Entry.split(id)))
  return r and r.hu and 2 or 1
end

-- For each: 0 somebody else's, or nobody can read it, 1 renewed, 2 renewed and to be hung up, 3 forgotten.
function Owner.renew(count)
  local answers = {}
  for i = 1, count do
    local fine, answer = pcall(renew_one, arg(), number(), number())
    answers[i] = fine and answer or 0
  end
  return answers
end

-- A dialled call's owner says again what the store has forgotten: the call's facts, where its flow stands, its second legs.
function Owner.reassert(id, claim, token, worker, request, facts, state, dials, longest, legs)
  local h, index = Entry.split(id)
  local r = Req.get(h)
  local e = r and Entry.get(r, index)
  local x = Live.get(id)
  if not (x and x.t == token or Live.is_behind(id, claim, token)) then return { 'fenced' } end
  if x then
    local kept = {}
    for _, leg in ipairs(legs) do kept[leg] = true end
    release_legs_but(id, x, kept)
  end
  local y = { g = 'D', t = token, w = worker, fb = 0, cl = claim, n = 0, e = 0, la = 0, ca = x and x.ca or now, legs = legs }
  Facts.count(y, facts)
  local events = {}
  if e then
    if x and x.g == 'C' then Claims.done(r, x) end
    if not x then
      call('HDEL', Req.key(h) .. ':z', text(index))
      if call('ZREM', P .. 'out', id) > 0 then r.uc = max(0, r.uc - 1) end
      Lane.forget(r, Lane.of(r, e), index)
    end
    if e.st ~= ON_PROGRESS then Req.recount(r, e.st, ON_PROGRESS) end
    e.st, e.cl, e.di = ON_PROGRESS, claim, max(e.di, dials)
    Entry.put(e)
    if not r.st then
      r.st = 1
      events[1] = Req.emit(r, 'started')
    end
    r.en = nil
    Req.changed(r)
    Req.refresh(r)
  else
    y.ox = now + longest + SURELY
    events[1] = Intake.lost(h, request)
  end
  call('HSET', Live.key(id), 'x', pack(y), 'f', facts, 's', state)
  Org.lease(id)
  for _, leg in ipairs(legs) do Org.lease(id .. '.' .. leg) end
  O.tok, org_changed = max(O.tok, token), true
  return { 'done', events }
end

-- Lets go of calls of lost requests that nobody has renewed and that are surely over.
function Owner.drop_lost()
  for _, id in ipairs(expired_ids()) do
    local fine, x = pcall(Live.get, id)
    if fine and x and x.ox and x.ox <= now then
      Live.release(id, x)
      call('DEL', Live.key(id))
    end
  end
end

local function expired() return call('ZRANGEBYSCORE', P .. 'leases', '-inf', text(now), 'WITHSCORES') end

-- Id, claim, token, worker, stage, when surely over, when its lease ended, facts, request.
function Owner.suspects(limit)
  local found, raw = {}, expired()
  for i = 1, #raw, 2 do
    local id, expires = raw[i], tonumber(raw[i + 1])
    local h, index = Entry.split(id)
    if index and #found < limit then
      -- What nobody can read keeps its slot, and nobody else waiting.
      local fine, x, facts = pcall(Live.get, id)
      local r = fine and x and Req.get(h)
      if r then
        local over = x.g == 'C' and expires or x.ca + r.rt + r.mc + SURELY
        found[#found + 1] = { id, x.cl, x.t, x.w, x.g, over, expires, facts, r.id }
      end
    end
  end
  return found
end

-- Lets go of calls so that others may take them over at once: under new tokens, their leases ended long ago.
local function hand_one_over(id, claim, token)
  local x = Live.get(id)
  if not x or x.cl ~= claim or x.t ~= token then return end
  x.t, x.af, x.aw = Org.token(), nil, nil
  Live.put(id, x)
  urgent = true
  call('ZADD', P .. 'leases', 'XX', '0', id)
  for _, leg in ipairs(x.legs) do call('ZADD', P .. 'leases', 'XX', '0', id .. '.' .. leg) end
end

-- One that nobody can read waits until its leases are over; the others do not.
function Owner.hand_over(count)
  for _ = 1, count do pcall(hand_one_over, arg(), number(), number()) end
end

local function is_suspect(id)
  local expires = call('ZSCORE', P .. 'leases', id)
  return expires and tonumber(expires) <= now
end

-- Takes whoever has not renewed in time out of the line: free slots do not wait for the dead. An adopter asks again.
function Owner.prune_line()
  if Org.leave_line(function(waiter) return is_suspect(waiter[1]) end) then freed = true end
end

function Owner.adopt(id, claim, token, adopter, fact)
  local x, facts = Live.get(id)
  local h, index = Entry.split(id)
  local r = x and Req.get(h)
  if not r or x.cl ~= claim then return { 'fenced' } end
  local e = Entry.get(r, index)
  if not (x.af == token and x.aw == adopter) then
    if x.t ~= token or not is_suspect(id) then return { 'fenced' } end
    x.af, x.aw = x.t, adopter
    x.t, x.w = Org.token(), adopter
    if x.g == 'D' then facts = Facts.push(x, facts, 0, fact) end
    extend(id, x)
    Live.put(id, x, facts)
  end
  local state = call('HGET', Live.key(id), 's') or ''
  return { 'done', { id, x.cl, x.t, Entry.destination(r, e), r.sa, facts, e.co, r.id }, x.g, state, r.hu and 1 or 0 }
end

-- Who owns a live call: its request, claim, token and worker.
function Owner.of(id)
  local x = Live.get(id)
  local r = x and x.g == 'D' and Req.get((Entry.split(id)))
  return r and { r.id, id, x.cl, x.t, x.w } or {}
end

-- The request of a call that is there, held or not: records are kept under the hash that a call's id holds.
function Owner.request_of(id)
  local h, index = Entry.split(id)
  local r = Req.get(h)
  local e = r and Entry.get(r, index)
  if e and e.st > 0 then return { r.id } end
  -- The request may be lost, and the call not.
  return r and call('EXISTS', Live.key(id)) == 1 and { r.id } or {}
end

-- Calls in somebody's hands, of one request or (empty) of all: request, id, claim, token, worker, stage, until when renewed,
-- destination, facts.
function Owner.live(h)
  local found, raw = {}, call('ZRANGE', P .. 'leases', '0', '-1', 'WITHSCORES')
  for i = 1, #raw, 2 do
    local id = raw[i]
    local of, index = Entry.split(id)
    if index and (h == '' or of == h) then
      local x, facts = Live.get(id)
      local r = x and Req.get(of)
      local e = r and Entry.get(r, index)
      if e then
        found[#found + 1] = { r.id, id, x.cl, x.t, x.w, x.g, text(raw[i + 1]), Entry.destination(r, e), facts }
      end
    end
  end
  return found
end

-- Every live call of a request, and who owns it.
function Owner.of_request(r)
  local owners = {}
  for _, id in ipairs(call('ZRANGE', P .. 'leases', '0', '-1')) do
    local h, index = Entry.split(id)
    if h == r.h and index then
      local owner = Owner.of(id)
      if owner[1] then owners[#owners + 1] = owner end
    end
  end
  return owners
end
