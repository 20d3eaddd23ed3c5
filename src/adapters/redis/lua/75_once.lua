-- What was given under which id, so that it is done once.
--
-- Commands to requests under `given:` and their id: `w` what and to which, `s` the summary they were answered with, `e` the number of
-- the event they made, `u` until when that is known. What others want to know again under `once:`: `f` what was asked, as a hash,
-- `a` the answer, `u`. The database forgets them by itself; what counts is `u`.
local Once = {}
local DAY = 24 * 3600 * 1000

local function is_known(key)
  local known_until = call('HGET', key, 'u')
  return known_until and tonumber(known_until) > now
end

local function keep(key, life, ...)
  call('DEL', key)
  call('HSET', key, 'u', text(now + life), ...)
  call('PEXPIRE', key, text(life + 60000))
end

function Once.remember(id, hash, life)
  local key = P .. 'once:' .. id
  if not is_known(key) then
    keep(key, life, 'f', hash)
    return { 'first' }
  end
  local there = call('HMGET', key, 'f', 'a')
  if there[1] ~= hash then return { 'different' } end
  return there[2] and { 'again', there[2] } or { 'unanswered' }
end

-- What was answered to what is remembered; empty if nothing was.
function Once.recalled(id)
  local key = P .. 'once:' .. id
  local answer = is_known(key) and call('HGET', key, 'a')
  return answer and { answer } or {}
end

-- A request that a worker looks at waits no more to be taken in.
function Once.taken_in(id) call('DEL', P .. 'once:queued/' .. id) end

function Once.answered(id, answer)
  local key = P .. 'once:' .. id
  if is_known(key) then call('HSETNX', key, 'a', answer) end
end

-- What a command was, what it was answered, and which event it made (`0`: none); nothing if it was never given.
function Once.given(id)
  local key = P .. 'given:' .. id
  if id == '' or not is_known(key) then return nil end
  local there = call('HMGET', key, 'w', 's', 'e')
  return there[1], unpack_(there[2]), tonumber(there[3])
end

function Once.give(id, what, summary, event)
  if id == '' then return end
  keep(P .. 'given:' .. id, DAY, 'w', what, 's', pack(summary), 'e', text(event and event[1] or 0))
end
