-- Takes one of an organisation's slots for a call of another application: 1 if it is taken, 0 if none is free.
--
-- KEYS: robocall:{org}:external, robocall:{org}:limit, robocall:{org}:leases. ARGV: the limit of an organisation that has
-- none of its own. Every slot that was taken is given back once, with give_slot_back.lua, whatever became of the call.
local function count(text)
  if not text then return nil end
  local digits = string.match(text, '^%d+$')
  return digits and tonumber(digits) or error('not a whole number: ' .. text)
end

local external = count(redis.call('GET', KEYS[1])) or 0
local limit = count(redis.call('GET', KEYS[2])) or tonumber(ARGV[1])
if external + redis.call('ZCARD', KEYS[3]) >= limit then return 0 end
redis.call('INCR', KEYS[1])
return 1
