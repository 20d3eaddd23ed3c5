-- Who can be claimed from: kept up to date after everything that may change it, so that a claim never searches.
local Turns = {}
local LEVEL = 35184372088832 -- 2^45: more than any request is ever served

local function turn_member(r) return string.format('%012d:%s', r.so, r.h) end

-- Puts a request among those of its priority, behind those that were given less.
function Turns.enter(r)
  r.tk = (9 - r.pr) * LEVEL + (O.ord == 0 and r.sv or 0)
  call('ZADD', P .. 'turns', text(r.tk), turn_member(r))
  Req.changed(r)
end

function Turns.leave(r)
  call('ZREM', P .. 'turns', turn_member(r))
  r.tk = nil
  Req.changed(r)
end

-- Puts a request at the place that what it was given now asks for.
function Turns.requeue(r)
  if r.tk then Turns.enter(r) end
end

function Turns.first()
  local member = call('ZRANGE', P .. 'turns', '0', '0')[1]
  return member and Req.get(string.sub(member, 14)) or nil
end

-- A request that had been given `served` has its turn.
function Turns.advance(r, served)
  O.tn[r.pr + 1] = max(O.tn[r.pr + 1], served)
  org_changed = true
end

-- Looks again at a request.
function Req.refresh(r)
  local claimable, next_at = Req.outlook(r)
  if claimable and not r.tk then
    -- Nobody saves turns up.
    r.sv = max(r.sv, O.tn[r.pr + 1])
    Turns.enter(r)
  elseif not claimable and r.tk then
    Turns.leave(r)
  end
  if next_at ~= r.tm then
    if next_at then call('ZADD', P .. 'timers', text(next_at), r.h) else call('ZREM', P .. 'timers', r.h) end
    r.tm = next_at
    Req.changed(r)
  end
end

-- Looks again at requests whose time has come.
function Req.run_timers()
  for _, h in ipairs(call('ZRANGEBYSCORE', P .. 'timers', '-inf', text(now))) do
    call('ZREM', P .. 'timers', h)
    local r = Req.get(h)
    if r then
      r.tm = nil
      Req.changed(r)
      Req.refresh(r)
    end
  end
end

-- Ends all that waits in a request; what is held goes on. The event if that puts it at rest.
function Req.end_waiting(r, over)
  if r.life == 'L' then Req.assemble(r) end
  r.ov = over
  local held, held_retry = 0, 0
  for _, id in ipairs(call('ZRANGE', P .. 'leases', '0', '-1')) do
    local h, index = Entry.split(id)
    -- Names of second legs have a suffix, and no number.
    if h == r.h and index then
      local e = Entry.get(r, index)
      if e.st == QUEUED then held = held + 1 elseif e.st == RETRY then held_retry = held_retry + 1 end
    end
  end
  local waiting = max(0, r.n[QUEUED] - held) + max(0, r.n[RETRY] - held_retry)
  local status = Req.over_status(over)
  r.n[QUEUED], r.n[RETRY], r.n[status] = held, held_retry, r.n[status] + waiting
  for _, lane in ipairs(Lane.all(r)) do Lane.clear(r, lane) end
  Req.changed(r)
  Req.refresh(r)
  return Req.check_rest(r)
end

local function first_score(key)
  local first = call('ZRANGE', P .. key, '0', '0', 'WITHSCORES')
  return first[2] and tonumber(first[2]) or NEVER
end

-- When something that is due and cannot be done at once is looked at again.
local function not_before(at, least) return at <= now and least or at end

-- Looks again at the organisation, writes everything back, and says what the ring is to hear: readiness, version, given,
-- taken back, weight, when to look, whether others wait for this, whether anything was freed, since when something is unheard.
function Org.settle(told_all)
  Org.prune_line()
  local free, work = Org.free(Org.leased()), call('ZCARD', P .. 'turns') > 0
  local room = max(0, free - #O.line)
  local ready = work and room > 0 and Rate.allowance() > 0 and 1 or 0
  local unheard = min(first_score('out'), first_score('rout'))
  local look = min(first_score('timers'), first_score('due'), not_before(first_score('leases'), now + POLL),
    not_before(unheard + UNHEARD, now + CADENCE))
  if work then
    look = min(look, now + CADENCE)
    if ready == 0 and room == 0 then
      for _, waiter in ipairs(free > 0 and O.line or {}) do look = min(look, waiter[2]) end
      if read_slots().ext ~= 0 then look = min(look, now + POLL) end
    elseif ready == 0 then
      look = min(look, Rate.next() or NEVER)
    end
  end
  if #stale > 0 or urgent then look = min(look, now) end
  local hint = {}
  if freed and #O.line > 0 then woke = true end
  local heard = unheard == NEVER and 1 or 0
  local news = told_all or ready ~= O.told or look < O.look or heard ~= (O.heard or 1)
  if news or given > 0 or taken_back > 0 or woke or freed then
    if news then O.v, O.told, O.look, O.heard, org_changed = O.v + 1, ready, look, heard, true end
    hint = { O.told, O.v, given, taken_back, O.w, O.look, woke and 1 or 0, freed and 1 or 0, heard == 1 and -1 or unheard }
  end
  for h in pairs(records_changed) do
    local r = records[h]
    if r then
      Listing.put(r)
      call('HSET', Req.key(h), 'x', pack(r))
    end
  end
  Lane.save()
  if org_changed then call('SET', P .. 'o', pack(O)) end
  return hint
end
