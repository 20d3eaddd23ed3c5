-- The ready ring: whose turn it is among organisations, by start-time fair queueing; and when to look at which.
--
-- A hint in a slot of its own, written after the organisations' own scripts. KEYS[1]: its prefix. ARGV: the time, how many
-- organisations have news, then for each: name, ready, version, given, taken back, weight, when to look, whether to wake
-- others, since when something is unheard (-1: nothing is). Then, if somebody wants to know whose turn it is: how many organisations that are due to be looked at.
local call, max, min, floor = redis.call, math.max, math.min, math.floor
local P, DIAL, BATCH = KEYS[1], 1048576, 64
-- Whoever takes it upon itself to look at an organisation has so long until another does.
local TAKEN = 1000
-- How long nothing is claimed after a loss: so long owners have to say again what they hold.
local TTL = 30000
-- When an organisation is looked at that was about to be given work.
local EXPECTED = 15000

local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = tonumber(time[1]) * 1000 + floor(tonumber(time[2]) / 1000)
end
local function cost(dials, weight)
  return dials == 0 and 0 or max(1, floor(dials * DIAL / max(1, weight)))
end

local present = tonumber(call('GET', P .. 'now') or 0)
local before, wake, at = present, false, 2
for _ = 1, tonumber(ARGV[2]) do
  local org, ready, version = ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
  local given, taken_back, weight = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6])
  local look = tonumber(ARGV[at + 7])
  wake = wake or ARGV[at + 8] == '1'
  local unheard = tonumber(ARGV[at + 9])
  at = at + 9
  local place = tonumber(call('ZSCORE', P .. 'ready', org) or nil)
  local finish = tonumber(call('HGET', P .. 'finish', org) or 0)
  local stood, paid = place, finish
  if given > 0 then
    local start = place or max(finish, present)
    -- Virtual time follows refills too: else whoever comes new would start far in the past.
    present = max(present, start)
    finish = start + cost(given, weight)
    if place then place = finish end
  end
  if taken_back > 0 then
    -- At most one batch of credit, so that giving back again and again does not keep the others waiting.
    local least = max(0, present - cost(BATCH, weight))
    for _ = 1, taken_back do
      finish = max(max(0, finish - cost(1, weight)), least)
      if place then place = max(max(0, place - cost(1, weight)), min(least, place)) end
    end
  end
  if finish ~= paid then call('HSET', P .. 'finish', org, string.format('%d', finish)) end
  -- Hints may overtake each other: the latest counts.
  if version > tonumber(call('HGET', P .. 'version', org) or -1) then
    call('HSET', P .. 'version', org, string.format('%d', version))
    if ready == '0' then
      if place then call('ZREM', P .. 'ready', org) end
      place = nil
      stood = nil
    elseif not place then
      place, wake = max(finish, present), true
    end
    call('ZADD', P .. 'look', look, org)
    if unheard < 0 then call('ZREM', P .. 'unheard', org) else call('ZADD', P .. 'unheard', unheard, org) end
  end
  if place and place ~= stood then call('ZADD', P .. 'ready', string.format('%d', place), org) end
end
if present ~= before then call('SET', P .. 'now', string.format('%d', present)) end
if wake then call('PUBLISH', P .. 'wake', '') end

if ARGV[at + 1] == 'expect' then
  -- Somebody is about to give this organisation work: it is found even if nothing more is heard of that.
  call('ZADD', P .. 'look', 'LT', now + EXPECTED, ARGV[at + 2])
  return {}
end
if ARGV[at + 1] == 'read' then
  -- Whatever a loss took is written off, unless there was another meanwhile.
  if call('GET', P .. 'unread') == ARGV[at + 2] then
    call('DEL', P .. 'unread')
    call('SET', P .. 'read', call('GET', P .. 'life') or '')
    call('PUBLISH', P .. 'wake', '')
  end
  return {}
end
local wanted = tonumber(ARGV[at + 1] or 0)
if wanted == 0 then return {} end

-- Whether the database is the one that whoever asks has known: its life (empty: it is new here, or does not say), what the
-- server calls itself (empty: it has not been asked), a name for a new life, how long a new one is left alone, and whether
-- whoever asks writes off what was lost (1: then nothing is claimed until somebody has).
local life, server, new_life, first = ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], tonumber(ARGV[at + 5])
local reads = ARGV[at + 6] == '1'
local closed = tonumber(call('GET', P .. 'closed') or 0)
local here = call('GET', P .. 'life')
local close_until = 0
if not here then
  here = new_life
  call('SET', P .. 'life', here)
  -- Others may have known another life: they look at the ring at least that often.
  close_until = now + first
end
if life ~= '' and life ~= here then close_until = now + TTL end
local unread = call('GET', P .. 'unread') or ''
-- A new life is noticed by everybody who knew the one before, and read about once.
if reads and close_until > 0 and unread == '' and call('GET', P .. 'read') ~= here then unread = new_life end
if server ~= '' then
  local before = call('GET', P .. 'server')
  if before and before ~= server then
    close_until = now + TTL
    -- Noticed once; what was written off before may be lost again.
    if reads then unread = new_life end
  end
  if before ~= server then call('SET', P .. 'server', server) end
end
if close_until > closed then
  closed = close_until
  call('SET', P .. 'closed', string.format('%d', closed))
end
if unread == new_life then call('SET', P .. 'unread', unread) end
local due = call('ZRANGEBYSCORE', P .. 'look', '-inf', now, 'LIMIT', '0', wanted)
for _, org in ipairs(due) do call('ZADD', P .. 'look', now + TAKEN, org) end
local next_look = call('ZRANGE', P .. 'look', '0', '0', 'WITHSCORES')
-- Those whose turn it is stand at the same place.
local first = call('ZRANGE', P .. 'ready', '0', '0', 'WITHSCORES')[2]
local turn = first and call('ZRANGEBYSCORE', P .. 'ready', first, first, 'LIMIT', '0', ARGV[at + 7]) or {}
return { now, due, turn, next_look[2] or '', here,
  string.format('%d', closed > now and closed or 0), reads and unread or '' }
