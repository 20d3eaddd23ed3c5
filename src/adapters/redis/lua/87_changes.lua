-- What commands changed of the organisation itself: under `ev`, by number, until that is confirmed; under `ev:last` the number of
-- the last. That is not in the organisation's record, which is written only if all of it can be read: no number is given twice.
--
-- Among the requests with unconfirmed events they stand under a name that no request has: versions that know nothing of
-- them find no event there, and have the organisation looked at all the same.
local Changes = {}
local OWN = 'o'

-- Tells that a command (its name, id and giver) changed something, if somebody gave it and it did.
function Changes.tell(name, id, actor, changed)
  if id == '' or #changed == 0 then return end
  local seq = tonumber(call('GET', P .. 'ev:last') or 0) + 1
  call('ZADD', P .. 'ev', text(seq), pack({ seq, now, { name, id, actor }, changed }))
  call('SET', P .. 'ev:last', text(seq))
  call('ZADD', P .. 'rout', 'NX', text(now), OWN)
end

-- The oldest that are not confirmed, at most `limit`.
function Changes.unconfirmed(limit)
  local found = {}
  if limit <= 0 then return found end
  for i, change in ipairs(call('ZRANGE', P .. 'ev', '0', text(limit - 1))) do found[i] = unpack_(change) end
  return found
end

function Changes.confirm(seq)
  -- Whoever confirms a later one may never have heard of an earlier one.
  if call('ZREMRANGEBYSCORE', P .. 'ev', seq, seq) == 0 then return end
  local oldest = Changes.unconfirmed(1)[1]
  if oldest then call('ZADD', P .. 'rout', text(oldest[2]), OWN) else call('ZREM', P .. 'rout', OWN) end
end

-- Puts a number on the do-not-call list (`SADD`), or takes it off (`SREM`); 1 if that changed it.
function Changes.list(command, changed, phone, id, actor, name)
  local is_other = call(command, P .. 'blocked', phone)
  if is_other == 1 then Changes.tell(name, id, actor, { changed }) end
  return is_other
end
