-- One attempt from its dial to its end.
local Attempt = {}

local function varint(number_)
  local bytes = ''
  while number_ >= 128 do
    bytes = bytes .. string.char(128 + number_ % 128)
    number_ = floor(number_ / 128)
  end
  return bytes .. string.char(number_)
end

-- Ends a held call's attempt with one last fact: leases, counts, the retry, the request's rest.
local function end_attempt(r, e, id, x, facts, status, last, retry_at)
  facts = Facts.push(x, facts, 1, last)
  local stage = x.g
  x.fb = x.t
  Live.release(id, x)
  Live.lay_down(r, e, id, x, facts)
  if stage == 'C' then Claims.done(r, x) end
  Req.recount(r, e.st, status)
  e.st = status
  Entry.put(e)
  if retry_at then Lane.put_retry(r, Lane.of(r, e), e.index, retry_at) end
  Req.refresh(r)
  return facts, Req.check_rest(r)
end

-- What speaks against dialling a claimed call now.
local function objection(r, e, x)
  if not Req.is_open(r) then return 'over' end
  if r.pau then return 'paused' end
  local lane = Lane.of(r, e)
  local open = Lane.window(r, lane)
  if lane.asked then return 'stale' end
  if x.ph and call('SISMEMBER', P .. 'blocked', text(x.ph)) == 1 then return 'blocked' end
  if not open then return 'window' end
  if not Org.may_keep() then return 'slot' end
  if Rate.allow(1) == 0 then return 'rate' end
end

-- `before` and `after` are the fact of the dial, around the number of the attempt.
function Attempt.begin(id, claim, token, before, after, state, blocked)
  local r, e, x, facts = Live.held(id, claim, token)
  if not r then
    -- It may have ended as blocked before.
    local h, index = Entry.split(id)
    r = Req.get(h)
    e = r and Entry.get(r, index)
    if e and e.st == BLOCKED and call('EXISTS', Live.key(id)) == 0 then
      local rest, history = Facts.rest(r, index)
      if rest.fb == token then return { 'blocked', history, {} } end
    end
    return { 'fenced' }
  end
  if x.g == 'D' then
    -- Written again, so that replicas that are waited for now have what was written then.
    Live.put(id, x)
    return { 'dial', x.ca, 1, facts, {} }
  end
  local why = objection(r, e, x)
  if why == 'stale' then return { 'stale' } end
  if why == 'blocked' then
    local history, event = end_attempt(r, e, id, x, facts, BLOCKED, blocked)
    return { 'blocked', history, { event } }
  end
  if why then return { 'back', why, Claims.put_back(r, e, id, x, facts) } end
  e.di = e.di + 1
  Req.recount(r, e.st, ON_PROGRESS)
  e.st = ON_PROGRESS
  Entry.put(e)
  x.g, x.ca = 'D', now
  facts = Facts.push(x, facts, 1, before .. varint(e.di) .. after)
  call('HSET', Live.key(id), 'x', pack(x), 'f', facts, 's', state)
  Claims.done(r, x)
  local _, arrival = Rate.allow(1)
  O.arr = arrival
  local events = {}
  if not r.st then
    r.st = 1
    events[1] = Req.emit(r, 'started')
  end
  return { 'dial', now, 0, facts, events }
end

-- Lets go of the slots and places in line of second legs that are not kept.
local function release_legs_but(id, x, kept)
  local held = {}
  for _, leg in ipairs(x.legs) do
    if kept[leg] then held[#held + 1] = leg else Org.unlease(id .. '.' .. leg) end
  end
  x.legs = held
  if Org.leave_line(function(waiter) return waiter[1] == id and not kept[waiter[3]] end) then freed = true end
end

function Attempt.checkpoint(id, claim, token, after, added, state, kept)
  local _, _, x, facts = Live.held(id, claim, token)
  if not x then return Live.refused(id, claim, token) end
  -- It was dialled, as its owner knows: that is lost, if there is more to it than is written here.
  if x.g ~= 'D' then return { after > x.n and 'forgotten' or 'fenced' } end
  local appended, last = Facts.append(x, facts, after, added)
  -- There is a gap: what was written before is lost, or was never written by whoever asks.
  if not appended then return { after > x.n and 'forgotten' or 'fenced' } end
  -- Where the flow stood then is not where it stands now.
  if last then
    release_legs_but(id, x, kept)
    call('HSET', Live.key(id), 'x', pack(x), 'f', appended, 's', state)
  end
  return { 'done' }
end

-- Whoever ends an attempt that it has ended before is answered again; nothing happens twice.
local function finish_again(id, token, after, added)
  local h, index = Entry.split(id)
  local r = Req.get(h)
  local e = r and Entry.get(r, index)
  if not e then return { 'fenced' } end
  local x, facts = Live.get(id)
  if not x then x, facts = Facts.rest(r, index) end
  if x.fb ~= token then return { 'fenced' } end
  local count, at = after + 1, 1
  while at <= #added do
    count, at = count + 1, at + 2 + struct.unpack('>I2', added, at)
  end
  return { 'done', string.sub(facts, 1, skip(facts, min(count, x.n)) - 1), {}, {} }
end

-- `dialled` and `undialled` are the last facts and statuses of a call that ends for good.
function Attempt.finish(id, claim, token, worker, after, added, retry_at, retry, dialled, undialled, recording, refill)
  local r, e, x, facts = Live.held(id, claim, token)
  if not x then
    local again = finish_again(id, token, after, added)
    return again[1] == 'fenced' and Live.refused(id, claim, token) or again
  end
  local appended, last = Facts.append(x, facts, after, added)
  if not last then return { after > x.n and 'forgotten' or 'fenced' } end
  if recording ~= '' then Recordings.note(id .. '.' .. text(claim), recording) end
  if x.ox then
    Live.release(id, x)
    call('DEL', Live.key(id))
    return { 'done', Facts.push(x, appended, 1, dialled[2]), {}, {} }
  end
  local was_dialled = x.g == 'D'
  if retry_at and not (was_dialled and not r.ov and (not r.exp or (now < r.exp and retry_at < r.exp))) then
    retry_at = nil
  end
  local ends = was_dialled and dialled or undialled
  local history, event = end_attempt(r, e, id, x, appended, retry_at and RETRY or ends[1], retry_at and retry or ends[2],
    retry_at)
  local claims = refill > 0 and Claims.claim(worker, refill) or {}
  return { 'done', history, { event }, claims }
end
