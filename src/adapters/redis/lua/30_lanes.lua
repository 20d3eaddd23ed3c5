-- Destinations of one request that share a clock: what of them was not claimed yet, and what waits for another dial.
--
-- A lane's record: `op` 1 while its window is open, `un` until when that holds; `pos` and `off` where the next fresh one is, `ck`
-- its chunk, `hi` its index (none: not read yet), `dn` 1 if there are no more; `nb` given back, `nq` waiting for another dial.
local Lane = {}
local lanes, lanes_changed
-- Lanes whose window must be read on a clock anew: the database knows no time zones.
local stale
anew[#anew + 1] = function() lanes, lanes_changed, stale = {}, {}, {} end

function Lane.all(r)
  local all = lanes[r.h]
  if all then return all end
  all = {}
  if r.nl > 0 then
    local raw = call('HGETALL', Req.key(r.h) .. ':lanes')
    for i = 1, #raw, 2 do
      local lane = unpack_(raw[i + 1])
      lane.no = tonumber(raw[i])
      all[lane.no + 1] = lane
    end
  end
  lanes[r.h] = all
  return all
end

function Lane.changed(r, lane)
  lanes_changed[r.h] = lanes_changed[r.h] or {}
  lanes_changed[r.h][lane.no] = lane
end

-- Whether its people may be called, and until when that holds.
function Lane.window(r, lane)
  if r.win ~= 1 then return true, NEVER end
  if lane.un <= now then
    if not lane.asked then
      lane.asked = true
      stale[#stale + 1] = { r.h, lane.no, call('HGET', Req.key(r.h) .. ':zones', 'z' .. lane.no) or '' }
    end
    return false, now
  end
  return lane.op == 1, lane.un
end

-- Has the next fresh destination at hand; at most `size` bytes are read ahead.
local function read_ahead(r, lane, size)
  while not lane.dn do
    if not lane.ck then
      local chunk = call('ZRANGE', Req.key(r.h) .. ':k' .. lane.no, text(lane.pos), text(lane.pos))[1]
      if not chunk then
        lane.dn = 1
        break
      end
      lane.ck, lane.off = chunk, 0
      lane.buf = nil
    end
    local have = lane.buf and #lane.buf - (lane.off - lane.from) or 0
    if have < 7 then
      lane.buf, lane.from = call('GETRANGE', Req.key(r.h) .. ':c' .. lane.ck, text(lane.off), text(lane.off + size - 1)), lane.off
      have = #lane.buf
    end
    if have >= 7 then
      local index, length = struct.unpack('>I4I3', lane.buf, lane.off - lane.from + 1)
      if have < 7 + length then
        lane.buf = call('GETRANGE', Req.key(r.h) .. ':c' .. lane.ck, text(lane.off), text(lane.off + max(size, 7 + length) - 1))
        lane.from = lane.off
      end
      local part = tonumber(string.match(lane.ck, '^%d+'))
      lane.hi, lane.len = r.ba[part + 1] + index, length
      break
    end
    lane.pos, lane.ck, lane.buf = lane.pos + 1, nil, nil
  end
  Lane.changed(r, lane)
end

-- The index in file order that comes next, if any is left; and whether it was given back.
function Lane.fresh(r, lane)
  if not lane.hi and not lane.dn then read_ahead(r, lane, 512) end
  local head = lane.hi
  if lane.nb > 0 then
    if lane.first_back == nil then
      lane.first_back = tonumber(call('ZRANGE', Req.key(r.h) .. ':b' .. lane.no, '0', '0')[1])
    end
    if not head or lane.first_back < head then return lane.first_back, true end
  end
  return head, false
end

function Lane.first_retry(r, lane)
  if lane.nq == 0 then return nil end
  if lane.retry == nil then
    local first = call('ZRANGE', Req.key(r.h) .. ':q' .. lane.no, '0', '0', 'WITHSCORES')
    lane.retry = { tonumber(first[2]), tonumber(first[1]) }
  end
  return lane.retry[1], lane.retry[2]
end

-- Takes the index that `Lane.fresh` named: its destination if it was read on the way.
function Lane.take_fresh(r, lane, index, back, ahead)
  Lane.changed(r, lane)
  if back then
    call('ZREM', Req.key(r.h) .. ':b' .. lane.no, text(index))
    lane.nb, lane.first_back = lane.nb - 1, nil
    return nil
  end
  if not lane.buf then read_ahead(r, lane, min(64, ahead) * 192 + 64) end
  local at = lane.off - lane.from + 8
  local destination = string.sub(lane.buf, at, at + lane.len - 1)
  lane.off, lane.hi = lane.off + 7 + lane.len, nil
  read_ahead(r, lane, min(64, ahead) * 192 + 64)
  return destination
end

function Lane.take_retry(r, lane, index)
  Lane.changed(r, lane)
  call('ZREM', Req.key(r.h) .. ':q' .. lane.no, string.format('%010d', index))
  lane.nq, lane.retry = lane.nq - 1, nil
end

function Lane.put_retry(r, lane, index, due)
  Lane.changed(r, lane)
  call('ZADD', Req.key(r.h) .. ':q' .. lane.no, text(due), string.format('%010d', index))
  lane.nq, lane.retry = lane.nq + 1, nil
end

function Lane.put_back(r, lane, index)
  Lane.changed(r, lane)
  call('ZADD', Req.key(r.h) .. ':b' .. lane.no, text(index), text(index))
  lane.nb, lane.first_back = lane.nb + 1, nil
end

-- Forgets that a call waits here; one that comes in file order is passed over when its turn comes.
function Lane.forget(r, lane, index)
  Lane.changed(r, lane)
  lane.nb = lane.nb - call('ZREM', Req.key(r.h) .. ':b' .. lane.no, text(index))
  lane.nq = lane.nq - call('ZREM', Req.key(r.h) .. ':q' .. lane.no, string.format('%010d', index))
  lane.first_back, lane.retry = nil, nil
end

-- Forgets all its work: nothing of it is to be dialled any more.
function Lane.clear(r, lane)
  Lane.changed(r, lane)
  call('DEL', Req.key(r.h) .. ':b' .. lane.no, Req.key(r.h) .. ':q' .. lane.no)
  lane.dn, lane.hi, lane.nb, lane.nq, lane.first_back, lane.retry = 1, nil, 0, 0, nil, nil
end

-- The lane of a call, by the chunk its destination is in.
function Lane.of(r, e)
  local all = Lane.all(r)
  if #all == 1 then return all[1] end
  local number = call('HGET', Req.key(r.h) .. ':zones', 'c' .. e.part .. '.' .. e.ch)
  return all[tonumber(number) + 1]
end

-- What is claimed next: due retries by their time, then file order.
function Req.pick(r)
  local due, retry, retry_lane, fresh, fresh_lane, fresh_back
  for _, lane in ipairs(Lane.all(r)) do
    if Lane.window(r, lane) then
      local at, index = Lane.first_retry(r, lane)
      if at and at <= now and (not due or at < due or (at == due and index < retry)) then
        due, retry, retry_lane = at, index, lane
      end
      local head, back = Lane.fresh(r, lane)
      if head and (not fresh or head < fresh) then fresh, fresh_lane, fresh_back = head, lane, back end
    end
  end
  if retry then return retry, retry_lane, due end
  return fresh, fresh_lane, nil, fresh_back
end

-- Whether it can be claimed from now; and if not, when it can be by the mere passing of time.
function Req.outlook(r)
  if r.pau or not Req.is_open(r) then return false end
  if Req.waits(r) then return false, r.sch end
  local next_at = NEVER
  for _, lane in ipairs(Lane.all(r)) do
    local open, until_ = Lane.window(r, lane)
    local work = Lane.fresh(r, lane) and now or Lane.first_retry(r, lane)
    if work then
      if open and work <= now then return true end
      next_at = min(next_at, open and work or max(work, until_))
    end
  end
  if next_at < (r.exp or NEVER) then return false, next_at end
  return false
end

function Lane.save()
  for h, changed in pairs(lanes_changed) do
    for no, lane in pairs(changed) do
      call('HSET', Req.key(h) .. ':lanes', text(no), pack({ op = lane.op, un = lane.un, pos = lane.pos, off = lane.off,
        ck = lane.ck, hi = lane.hi, len = lane.len, dn = lane.dn, nb = lane.nb, nq = lane.nq }))
    end
  end
end
