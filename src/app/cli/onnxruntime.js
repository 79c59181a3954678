// ONNX Runtime as the rival of `sightline bench --rival`: a child process that reads one JSON object per line and answers each with one.
// Tensors travel as raw files. Arguments: the folder whose node_modules holds onnxruntime-node.
'use strict';
const fs = require('fs');
const path = require('path');
const readline = require('readline');

const home = path.join(process.argv[1], 'node_modules', 'onnxruntime-node');
const ort = require(home);

const kinds = {
  f32: ['float32', Float32Array], f64: ['float64', Float64Array], f16: ['float16', Uint16Array], i8: ['int8', Int8Array],
  u8: ['uint8', Uint8Array], i32: ['int32', Int32Array], i64: ['int64', BigInt64Array], bool: ['bool', Uint8Array]
};

function readTensor(input) {
  const [type, Values] = kinds[input.dtype];
  const bytes = fs.readFileSync(input.file);
  const own = new Uint8Array(bytes.length);  // a buffer that begins at 0, so that it is aligned
  own.set(bytes);
  return new ort.Tensor(type, new Values(own.buffer), input.shape);
}

// What the kernel counts for this process, in bytes: resident now, and the most since the last reset.
function memory() {
  const status = fs.readFileSync('/proc/self/status', 'utf8');
  const bytes = (key) => 1024 * Number(new RegExp(key + ':\\s+(\\d+)').exec(status)[1]);
  return {resident: bytes('VmRSS'), peak: bytes('VmHWM')};
}

let session = null, feeds = {}, wanted = [], before = {resident: 0};

function takeInputs(request) {
  feeds = Object.fromEntries(request.inputs.map((input) => [input.name, readTensor(input)]));
  wanted = request.outputs;
}

async function answers(folder) {
  const results = await session.run(feeds, wanted);
  return wanted.map((name, i) => {
    const tensor = results[name];
    const dtype = Object.keys(kinds).find((key) => kinds[key][0] === tensor.type);
    if (dtype === undefined) throw new Error(`output ${name} has the type ${tensor.type}`);
    const file = path.join(folder, `answer-${i}.raw`);
    fs.writeFileSync(file, Buffer.from(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength));
    return {name, dtype, shape: tensor.dims, file};
  });
}

const commands = {
  // Loads and answers once; the time is that of both, the baseline of memory is node with the library loaded and the inputs read.
  async load(request) {
    takeInputs(request);
    if (global.gc) global.gc();
    try {
      fs.writeFileSync('/proc/self/clear_refs', '5');
    } catch (error) {
      // without the permission the peak since the start is what remains
    }
    before = memory();
    const begin = process.hrtime.bigint();
    session = await ort.InferenceSession.create(request.file, {
      intraOpNumThreads: request.threads, interOpNumThreads: 1, executionMode: 'sequential',
      graphOptimizationLevel: request.optimised ? 'all' : 'disabled', logSeverityLevel: 3
    });
    await session.run(feeds, wanted);
    return {seconds: Number(process.hrtime.bigint() - begin) * 1e-9};
  },
  async inputs(request) {
    takeInputs(request);
    return {outputs: await answers(request.folder)};
  },
  async time(request) {
    const seconds = [];
    for (let i = 0; i < request.runs; ++i) {
      const begin = process.hrtime.bigint();
      await session.run(feeds, wanted);
      seconds.push(Number(process.hrtime.bigint() - begin) * 1e-9);
    }
    return {seconds};
  },
  async memory() {
    const now = memory();
    return {resident: now.resident - before.resident, peak: now.peak - before.resident};
  }
};

function say(object) {
  fs.writeSync(1, JSON.stringify(object) + '\n');
}

async function serve() {
  say({version: JSON.parse(fs.readFileSync(path.join(home, 'package.json'), 'utf8')).version});
  for await (const line of readline.createInterface({input: process.stdin})) {
    try {
      const request = JSON.parse(line);
      say(await commands[request.do](request));
    } catch (error) {
      say({error: String(error && error.message || error)});
    }
  }
}

serve();
