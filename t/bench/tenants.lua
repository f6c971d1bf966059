-- For wrk: request n uses tenant n mod N; "miss" makes each target unique, and "pass" one
-- whose answer may not be stored.  Arguments: file of tokens (one a line), miss|pass|hit, milliseconds that a
-- connection pauses before each request

local tokens, i, n, unique, pause = {}, 0, 0, false, 0
local thread = 0

function setup(t)
   t:set("id", thread)
   thread = thread + 1
end

function init(args)
   for line in io.lines(args[1]) do
      tokens[#tokens + 1] = line
   end
   unique = args[2] == "miss" and "&n=" or args[2] == "pass" and "&p="
   pause = tonumber(args[3] or 0)
   if pause == 0 then
      delay = nil
   end
   math.randomseed(os.time() + id)
   i = math.random(1000000000) * 1000
   n = math.random(#tokens)
end

function delay()
   return pause
end

function request()
   n = n + 1
   local t = n % #tokens + 1
   local target = "/v1/integrations?t=" .. t
   if unique then
      i = i + 1
      target = target .. unique .. i
   end
   return "GET " .. target .. " HTTP/1.1\r\nHost: gateway\r\nAccept: application/json\r\n"
      .. "User-Agent: bench\r\nX-Api-Key: " .. tokens[t] .. "\r\n\r\n"
end
