-- Who alone may listen to the backend's reports for an app. KEYS[1]: the lock. ARGV: the time, the process, what is asked
-- (`lock` or `unlock`).
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
local TTL = 30000
local holder = redis.call('HMGET', KEYS[1], 'process', 'until')
local others = holder[1] and holder[1] ~= ARGV[2] and tonumber(holder[2]) > now
if ARGV[3] == 'unlock' then
  if holder[1] == ARGV[2] then redis.call('DEL', KEYS[1]) end
  return 1
end
if others then return 0 end
redis.call('HSET', KEYS[1], 'process', ARGV[2], 'until', string.format('%d', now + TTL))
redis.call('PEXPIRE', KEYS[1], 2 * TTL)
return 1
