// OpenAI's JavaScript client, unmodified: asks the gateway at argv[2] and prints what it understood, as one line of JSON.
// With a model's name in argv[3] it asks only what any model can answer.
const { OpenAI } = require("openai");

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "none", maxRetries: 0 });
const messages = [{ role: "user", content: "What is 17 + 25?" }];
const weather = { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } };
const tools = [{ type: "function", function: weather }];
const schema = { name: "sum", schema: { type: "object", properties: { total: { type: "integer" } } } };

async function anyModel(name) {
  const vote = await client.chat.completions.create({ model: `${name}@majority:3`, messages, max_tokens: 8 });
  const options = { model: name, messages, max_tokens: 8, temperature: 0, stream_options: { include_usage: true } };
  const whole = client.chat.completions.stream(options);
  const streamed = [await whole.finalContent(), (await whole.totalUsage()).completion_tokens];
  console.log(JSON.stringify({ vote: [vote.choices[0].message.content, vote.usage.completion_tokens], streamed }));
}

async function main() {
  const told = {};
  const vote = await client.chat.completions.create({ model: "up@majority:3", messages });
  told.vote = [vote.choices[0].message.content, vote.usage.completion_tokens, vote.usage.outthink.samples];

  const whole = client.chat.completions.stream({ model: "up@majority:3", messages, stream_options: { include_usage: true } });
  told.streamed = [await whole.finalContent(), (await whole.totalUsage()).completion_tokens];

  const pieces = [];
  for await (const chunk of await client.chat.completions.create({ model: "up", messages, stream: true }))
    if (chunk.choices[0]?.delta.content) pieces.push(chunk.choices[0].delta.content);
  told.pieces = pieces;

  const called = client.chat.completions.stream({ model: "up@majority:3", messages, tools });
  const call = (await called.finalMessage()).tool_calls[0].function;
  told.called = [call.name, JSON.parse(call.arguments)];

  const format = { type: "json_schema", json_schema: schema };
  const parsed = await client.chat.completions.parse({ model: "up@majority:3", messages, response_format: format });
  told.parsed = JSON.parse(parsed.choices[0].message.content);

  const response = await client.responses.create({ model: "up@majority:3", input: "What is 17 + 25?" });
  told.response = [response.output_text, response.status];
  const events = client.responses.stream({ model: "up", input: "Count." });
  told.response_streamed = (await events.finalResponse()).output_text;

  told.models = (await client.models.list()).data.map((model) => model.id);
  told.errors = [];
  for (const wrong of ["nothing", "up@nothing"])
    await client.chat.completions.create({ model: wrong, messages }).catch((error) =>
      told.errors.push([error.constructor.name, error.status, error.code]));

  const left = await client.chat.completions.create({ model: "up", messages, stream: true });
  for await (const chunk of left) if (chunk.choices[0]?.delta.content) break; // the client leaves
  console.log(JSON.stringify(told));
}

if (process.argv[3]) anyModel(process.argv[3]);
else main();
