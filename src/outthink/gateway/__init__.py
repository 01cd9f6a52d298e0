"""The gateway: an OpenAI-compatible server that puts a strategy between any client and its model.

`app` maps paths to endpoints and `server` serves them; `chat`, `completions` and `responses` read and write one protocol each;
`choice` finds the strategy that a request asks for, `runs` carries it out. What operators add (keys, admission, records,
observers) plugs into `seams`, and what they configure is `config`'s. Nothing below the gateway imports it.
"""
