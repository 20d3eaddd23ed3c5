-- An organisation's requests by status, in the order in which they were accepted.
--
-- `list:` and a status holds places: a time and the request's hash, as text that sorts, which is a page's cursor. What was not
-- acknowledged yet is on the list `loading` and shown to nobody, so that every request is on one list. In a request's record:
-- `ls` its list, `lm` its place there.
local Listing = {}
local LISTS = { 'loading', 'submitted', 'scheduled', 'onProgress', 'paused', 'completed', 'cancelled', 'expired', 'failed' }

local function list_key(list) return P .. 'list:' .. list end

local function list_of(r)
  if r.life == 'L' and r.ns == 0 then return 'loading' end
  return Req.status(r)
end

-- Puts a request on the list it belongs on.
function Listing.put(r)
  local list = list_of(r)
  if r.ls == list then return end
  if r.ls then call('ZREM', list_key(r.ls), r.lm) end
  if not r.ls or r.ls == 'loading' then r.lm = string.format('%012x', r.sa or r.en or now) .. r.h end
  r.ls = list
  call('ZADD', list_key(list), '0', r.lm)
end

function Listing.drop(r)
  if r.ls then call('ZREM', list_key(r.ls), r.lm) end
end

-- Whether a place is where its request is.
local function stands(r, list, place) return r and r.ls == list and r.lm == place end

local function put_at_once(r)
  if list_of(r) == r.ls then return end
  Listing.put(r)
  call('HSET', Req.key(r.h), 'x', pack(r))
end

-- Of the requests with these statuses, newest first, those that follow a place (empty: all): summary, whether it was accepted,
-- when it was sealed. After which place there are more (empty: nowhere). Whether the lists hold more or less than there is.
--
-- Few are looked at, however many there are.
function Listing.page(after, limit, wanted)
  local places, listed = {}, 0
  -- Whose time has come waits no more, though nobody has looked yet.
  for _, what in ipairs(call('ZRANGEBYSCORE', P .. 'due', '-inf', text(now), 'LIMIT', '0', '256')) do
    local r = string.sub(what, 1, 1) == 'S' and Req.get(string.sub(what, 2))
    if r then pcall(put_at_once, r) end
  end
  for _, list in ipairs(LISTS) do
    listed = listed + call('ZCARD', list_key(list))
    if wanted[list] then
      local from = after == '' and '+' or '(' .. after
      for _, place in ipairs(call('ZREVRANGEBYLEX', list_key(list), from, '-', 'LIMIT', '0', text(limit + 1))) do
        places[#places + 1] = { place, list }
      end
    end
  end
  table.sort(places, function(one, other) return one[1] > other[1] end)
  local found = {}
  for i = 1, min(limit, #places) do
    local place, list = places[i][1], places[i][2]
    local r = Req.get(string.sub(place, 13))
    if not stands(r, list, place) then
      call('ZREM', list_key(list), place)
    else
      -- Without memory to spare it stays where it is, and is shown as what it is.
      pcall(put_at_once, r)
      if wanted[list_of(r)] then found[#found + 1] = { Req.summary(r), r.life ~= 'R' and 1 or 0, r.sa or -1 } end
    end
  end
  local more = #places > limit and places[limit][1] or ''
  return { found, more, listed ~= call('SCARD', P .. 'requests') and 1 or 0 }
end

-- Mends the lists, a piece at a time: other versions of the program write records and know no lists. First (`which` 0) what is
-- on none is put on its own, then what is not there is taken off each. The piece that follows; `0` after the last of `which`.
function Listing.mend(which, piece)
  if which == 0 then
    local found = call('SSCAN', P .. 'requests', piece, 'COUNT', '256')
    for _, h in ipairs(found[2]) do
      local r = Req.get(h)
      if r then
        Listing.put(r)
        call('ZADD', list_key(r.ls), '0', r.lm)
        Req.changed(r)
      end
    end
    return { found[1] }
  end
  local list = LISTS[which]
  if not list then return {} end
  local found = call('ZSCAN', list_key(list), piece, 'COUNT', '256')
  for i = 1, #found[2], 2 do
    local place = found[2][i]
    if not stands(Req.get(string.sub(place, 13)), list, place) then call('ZREM', list_key(list), place) end
  end
  return { found[1] }
end
