-- wrk script for POST. Arguments after `--`: a file with one request body a line, and Basic credentials. Every request
-- is made before the run. Reports as report.lua does.
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "report.lua")
local requests, index = {}, 0

function init(args)
  local headers = {
    ["Content-Type"] = "application/x-www-form-urlencoded",
    ["Authorization"] = "Basic " .. args[2],
  }
  for line in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("POST", nil, headers, line)
  end
end

function request()
  index = index % #requests + 1
  return requests[index]
end
