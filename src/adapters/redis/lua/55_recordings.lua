-- What was recorded, by attempts' names: where it is kept (`recs`), and when the attempt ended (`rece`). It outlives its request.
local Recordings = {}

function Recordings.note(attempt, place)
  call('HSET', P .. 'recs', attempt, place)
  call('ZADD', P .. 'rece', text(now), attempt)
end

-- Name, place and when it ended; nothing if there is none.
function Recordings.of(attempt)
  local place = call('HGET', P .. 'recs', attempt)
  return place and { attempt, place, tonumber(call('ZSCORE', P .. 'rece', attempt)) or 0 } or {}
end

-- Those that ended before some time, the oldest first.
function Recordings.before(time, limit)
  local found = call('ZRANGEBYSCORE', P .. 'rece', '-inf', '(' .. text(time), 'LIMIT', '0', text(limit))
  for i, attempt in ipairs(found) do found[i] = Recordings.of(attempt) end
  return found
end

function Recordings.forget(attempt)
  call('HDEL', P .. 'recs', attempt)
  call('ZREM', P .. 'rece', attempt)
end
