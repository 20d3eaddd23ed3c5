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

-- Those that ended before some time, the oldest first, behind the one of this time and name.
function Recordings.before(time, limit, since, name)
  local found, at = {}, 0
  while #found < limit do
    local piece = call('ZRANGEBYSCORE', P .. 'rece', text(since), '(' .. text(time), 'LIMIT', text(at), text(limit))
    for _, attempt in ipairs(piece) do
      local recording = Recordings.of(attempt)
      if recording[3] > since or attempt > name then found[#found + 1] = recording end
    end
    at = at + #piece
    if #piece < limit then break end
  end
  return found
end

function Recordings.forget(attempt)
  call('HDEL', P .. 'recs', attempt)
  call('ZREM', P .. 'rece', attempt)
end
