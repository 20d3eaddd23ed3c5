-- What webhooks have yet to be sent. KEYS[1]: what all keys begin with. ARGV: the time, what is asked, its arguments.
local base = KEYS[1]
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
local whole = function(number) return string.format('%d', number) end
local asked = ARGV[2]
local lead = redis.call('HMGET', base .. 'lead', 'process', 'token', 'until')

if asked == 'lead' then
  local process, life = ARGV[3], tonumber(ARGV[4])
  if lead[1] and lead[1] ~= process and tonumber(lead[3]) > now then return false end
  local token = lead[2]
  if lead[1] ~= process then
    -- Never one that was given before, whatever the database has forgotten.
    local last = tonumber(redis.call('GET', base .. 'token') or 0)
    token = whole(math.max(last + 1, now))
    redis.call('SET', base .. 'token', token)
  end
  redis.call('HSET', base .. 'lead', 'process', process, 'token', token, 'until', whole(now + life))
  return token
end

if lead[1] ~= ARGV[3] or lead[2] ~= ARGV[4] then return 0 end
if asked == 'resign' then
  redis.call('DEL', base .. 'lead')
  return 1
end

-- asked == 'change': how many and how long dead letters and answers are kept, then changes.
local at = 5
local function arg()
  local value = ARGV[at]
  at = at + 1
  return value
end
local most = {dead = tonumber(arg())}
local kept_for = {dead = tonumber(arg())}
most.answers, kept_for.answers = tonumber(arg()), tonumber(arg())

-- Things by name, of which the oldest make room. `also`: other hashes that hold something under the same names.
local function shelve(kind, whose, name, put_at, thing, also)
  local shelf, times = base .. kind .. ':' .. whose, base .. kind .. '_at:' .. whose
  redis.call('HSET', shelf, name, thing)
  redis.call('ZADD', times, put_at, name)
  local gone = redis.call('ZRANGEBYSCORE', times, '-inf', whole(tonumber(put_at) - kept_for[kind]))
  local left = redis.call('ZCARD', times) - #gone
  if left > most[kind] then
    gone = redis.call('ZRANGE', times, 0, #gone + left - most[kind] - 1)
  end
  for _, old in ipairs(gone) do
    redis.call('HDEL', shelf, old)
    redis.call('ZREM', times, old)
    if also then redis.call('HDEL', also, old) end
  end
  redis.call('PEXPIRE', shelf, kept_for[kind])
  redis.call('PEXPIRE', times, kept_for[kind])
  if also then redis.call('PEXPIRE', also, kept_for[kind]) end
end

local do_change = {
  position = function()
    local position, last = arg(), arg()
    redis.call('SET', base .. 'position', position)
    if last == '' then redis.call('DEL', base .. 'last') else redis.call('SET', base .. 'last', last) end
  end,
  anew = function() redis.call('SET', base .. 'anew', arg()) end,
  endpoint = function() redis.call('HSET', base .. 'endpoints', arg(), arg()) end,
  forget = function()
    local endpoint = arg()
    redis.call('HDEL', base .. 'endpoints', endpoint)
    redis.call('DEL', base .. 'pending:' .. endpoint, base .. 'bodies:' .. endpoint)
  end,
  add = function()
    local endpoint, offset = arg(), arg()
    redis.call('HSET', base .. 'pending:' .. endpoint, offset, arg())
    redis.call('HSET', base .. 'bodies:' .. endpoint, offset, arg())
  end,
  update = function()
    local endpoint, offset, event = arg(), arg(), arg()
    if redis.call('HEXISTS', base .. 'pending:' .. endpoint, offset) == 1 then
      redis.call('HSET', base .. 'pending:' .. endpoint, offset, event)
    end
  end,
  remove = function()
    local endpoint, offset = arg(), arg()
    redis.call('HDEL', base .. 'pending:' .. endpoint, offset)
    redis.call('HDEL', base .. 'bodies:' .. endpoint, offset)
  end,
  bury = function()
    local whose, endpoint, offset, name, put_at, dead = arg(), arg(), arg(), arg(), arg(), arg()
    local bodies = base .. 'dead_bodies:' .. whose
    if endpoint ~= '' then
      local body = redis.call('HGET', base .. 'bodies:' .. endpoint, offset)
      -- Buried before.
      if not body then return end
      redis.call('HDEL', base .. 'pending:' .. endpoint, offset)
      redis.call('HDEL', base .. 'bodies:' .. endpoint, offset)
      redis.call('HSET', bodies, name, body)
    end
    shelve('dead', whose, name, put_at, dead, bodies)
    if whose ~= '' then redis.call('SADD', base .. 'with_dead', whose) end
  end,
  raise = function()
    local whose, endpoint, offset, name, event = arg(), arg(), arg(), arg(), arg()
    local body = redis.call('HGET', base .. 'dead_bodies:' .. whose, name)
    if not body then return end
    redis.call('HDEL', base .. 'dead_bodies:' .. whose, name)
    redis.call('HDEL', base .. 'dead:' .. whose, name)
    redis.call('ZREM', base .. 'dead_at:' .. whose, name)
    redis.call('HSET', base .. 'pending:' .. endpoint, offset, event)
    redis.call('HSET', base .. 'bodies:' .. endpoint, offset, body)
  end,
  keep = function()
    local whose, call, put_at, answer = arg(), arg(), arg(), arg()
    shelve('answers', whose, call, put_at, answer)
  end,
  granted = function()
    local wish = arg()
    redis.call('HDEL', base .. 'wishes', wish)
    redis.call('ZREM', base .. 'wishes_at', wish)
  end,
}
while at <= #ARGV do do_change[arg()]() end
return 1
