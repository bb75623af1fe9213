-- Closed loop: each connection asks again as soon as it has its answer, for any of the requests in a file.
-- Arguments: the file, a seed.
local requests, n = {}, 0

function init(args)
  local file = assert(io.open(args[1], "rb"))
  for request in file:read("*a"):gmatch("%Z+") do
    n = n + 1
    requests[n] = request
  end
  file:close()
  math.randomseed(tonumber(args[2]))
end

function request() return requests[math.random(n)] end

function done(summary)
  local e = summary.errors
  io.write(string.format('\n{"requests":%d,"microseconds":%d,"refused":%d,"failed":%d}\n', summary.requests,
    summary.duration, e.status, e.connect + e.read + e.write + e.timeout))
end
