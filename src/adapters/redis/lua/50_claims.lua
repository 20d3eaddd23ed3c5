-- Destinations on their way to workers, and back undialled.
--
-- A held call's record, under `l:` and its id: `x` with `g` stage (C claimed, D dialled), `t` token, `w` worker, `af` and `aw` the
-- proof and name of its last adoption, `du` when it was due if it was a retry, `fb` under which token the attempt before ended,
-- `cl` claim, `n` facts, `e` events, `la` last fact's time, `ca` committed at, `ph` number, `legs` second legs with slots, `ox`
-- when it is surely over if its request was lost;
-- `f` its facts; `s` where its flow stands.
local Live, Claims = {}, {}

function Live.key(id) return P .. 'l:' .. id end

function Live.get(id)
  local raw = call('HMGET', Live.key(id), 'x', 'f')
  if not raw[1] then return nil end
  return unpack_(raw[1]), raw[2] or ''
end

function Live.put(id, x, facts)
  if facts then
    call('HSET', Live.key(id), 'x', pack(x), 'f', facts)
  else
    call('HSET', Live.key(id), 'x', pack(x))
  end
end

-- A call's request, entry, record and facts, if it is held under this claim and token.
function Live.held(id, claim, token)
  local x, facts = Live.get(id)
  if not x or x.cl ~= claim or x.t ~= token then return nil end
  local h, index = Entry.split(id)
  local r = Req.get(h)
  -- The call of a request that was lost: it has a slot, and nothing else.
  if x.ox then return nil, nil, x, facts end
  if not r then return nil end
  return r, Entry.get(r, index), x, facts
end

-- What is answered to whoever does not hold a call: it is another's, or the store has forgotten.
function Live.refused(id, claim, token) return { Live.is_behind(id, claim, token) and 'forgotten' or 'fenced' } end

-- Whether a proof is newer than all that is known here of its call: then it is not its holder who is late.
function Live.is_behind(id, claim, token)
  local x = Live.get(id)
  if x then return claim > x.cl or claim == x.cl and token > x.t end
  local h, index = Entry.split(id)
  local r = Req.get(h)
  local e = r and Entry.get(r, index)
  if e then return claim > e.cl end
  return Org.forgot(token)
end

-- Lets go of every lease of a call and of its places in line.
function Live.release(id, x)
  Org.unlease(id)
  for _, leg in ipairs(x.legs) do Org.unlease(id .. '.' .. leg) end
  Org.leave_line(function(waiter) return waiter[1] == id end)
  freed = true
end

-- Nobody holds it any more: its history is put away, and kept findable while nobody has confirmed it.
function Live.lay_down(r, e, id, x, facts)
  Facts.lay(r, e.index, x, facts)
  call('DEL', Live.key(id))
  if e.co < x.e then
    r.uc = r.uc + 1
    Req.changed(r)
    call('ZADD', P .. 'out', text(x.la), id)
  end
end

-- Notes that a claimed call is claimed no more, but dialled, given back, or over. `cq` of its request is how many of its claimed
-- calls were never dialled before; versions that do not count them leave it as it is.
function Claims.done(r, x)
  O.und, org_changed = max(0, O.und - 1), true
  if not x.du then
    r.cq = max(0, (r.cq or 0) - 1)
    Req.changed(r)
  end
end

-- Claims the next destination of a request.
function Claims.take(r, worker, ahead)
  if r.pau or not Req.is_open(r) or Req.waits(r) then return nil end
  local index, lane, due, back, e, id, destination
  repeat
    index, lane, due, back = Req.pick(r)
    if not index then return nil end
    e, id = Entry.get(r, index), Entry.call_id(r.h, index)
    if due then
      Lane.take_retry(r, lane, index)
    else
      destination = Lane.take_fresh(r, lane, index, back, ahead)
    end
    -- What was said again by its owner, after the store had forgotten, waits no more.
  until e.st == (due and RETRY or QUEUED)
  destination = destination or Entry.destination(r, e)
  local rest, facts = { fb = 0, la = 0, e = 0, n = 0 }, ''
  if e.cl > 0 then
    rest, facts = Facts.rest(r, index)
    call('HDEL', Req.key(r.h) .. ':z', text(index))
    if e.co < rest.e and call('ZREM', P .. 'out', id) > 0 then
      r.uc = max(0, r.uc - 1)
    end
  end
  e.cl = e.cl + 1
  Entry.put(e)
  local phone = struct.unpack('>I7', destination)
  local x = { g = 'C', t = Org.token(), w = worker, du = due, fb = rest.fb, cl = e.cl, n = rest.n, e = rest.e,
    la = rest.la, ca = now, ph = phone > 0 and phone or nil, legs = {} }
  Live.put(id, x, facts)
  Org.lease(id)
  O.und = O.und + 1
  if not due then
    r.cq = (r.cq or 0) + 1
    Req.changed(r)
  end
  return { id, e.cl, x.t, destination, r.sa, facts, e.co, r.id }
end

-- One request's turn; how many it gave.
local function take_turn(r, worker, most, claims)
  local before, taken = r.sv, 0
  while taken < most do
    local claim = Claims.take(r, worker, most - taken)
    if not claim then break end
    claims[#claims + 1] = claim
    taken = taken + 1
  end
  r.sv = before + taken
  Turns.advance(r, before)
  Turns.requeue(r)
  Req.refresh(r)
  return taken
end

-- Claims from the organisation, at its charge.
function Claims.claim(worker, want)
  Org.prune_line()
  local room = min(max(0, Org.free(Org.leased()) - #O.line), Rate.allowance(), want, BATCH)
  local claims, left = {}, room
  -- Whoever's window must be read first may come before those that follow.
  while left > 0 and #stale == 0 do
    local r = Turns.first()
    if not r then break end
    local taken = take_turn(r, worker, min(O.ord == 0 and TURN or left, left), claims)
    left = left - taken
    if taken == 0 and r.tk then break end
  end
  given = given + room - left
  return claims
end

-- Takes a claimed call back to where it came from. What that meant for its request.
function Claims.put_back(r, e, id, x, facts)
  Live.release(id, x)
  Live.lay_down(r, e, id, x, facts)
  Claims.done(r, x)
  r.sv = max(max(0, r.sv - 1), max(0, O.tn[r.pr + 1] - TURN))
  Req.changed(r)
  taken_back = taken_back + 1
  if not r.ov then
    local lane = Lane.of(r, e)
    if x.du then Lane.put_retry(r, lane, e.index, x.du) else Lane.put_back(r, lane, e.index) end
  else
    -- What waited has ended meanwhile, and so does this.
    local status = Req.over_status(r.ov)
    Req.recount(r, e.st, status)
    e.st = status
    Entry.put(e)
  end
  Turns.requeue(r)
  Req.refresh(r)
  return { Req.check_rest(r) }
end

function Claims.give_back(id, claim, token)
  local r, e, x, facts = Live.held(id, claim, token)
  if r then
    if x.g == 'D' then return { 'fenced' } end
    return { 'done', Claims.put_back(r, e, id, x, facts) }
  end
  -- Nobody has claimed it since: it was given back before, and the answer was lost.
  local h, index = Entry.split(id)
  r = Req.get(h)
  e = r and Entry.get(r, index)
  if e and e.cl == claim and call('EXISTS', Live.key(id)) == 0 then return { 'done', {} } end
  return { 'fenced' }
end
