// What people build who have no server for models: Fastify takes a picture, sharp decodes and resizes it, ONNX Runtime answers.
//   node bench/serve_rival.js NODE_MODULES FILE.onnx THREADS        prints its port; POST /predict with a JPEG as the body
const path = require('path');
const [, , modules, file, threads] = process.argv;
const load = (name) => require(path.resolve(modules, name));
const fastify = load('fastify')({ bodyLimit: 64 << 20 });
const sharp = load('sharp');
const ort = load('onnxruntime-node');
sharp.concurrency(1);  // a thread for each picture; the pool of Node has several

async function main() {
  const session = await ort.InferenceSession.create(file, { intraOpNumThreads: Number(threads), interOpNumThreads: 1 });
  const side = 224, plane = side * side;
  fastify.addContentTypeParser('image/jpeg', { parseAs: 'buffer' }, (request, body, done) => done(null, body));
  fastify.post('/predict', async (request) => {
    const { data } = await sharp(request.body).removeAlpha().resize(side, side, { fit: 'fill' }).raw().toBuffer({ resolveWithObject: true });
    const input = new Float32Array(3 * plane);
    for (let i = 0; i < plane; ++i) {
      input[i] = data[3 * i];
      input[plane + i] = data[3 * i + 1];
      input[2 * plane + i] = data[3 * i + 2];
    }
    const answer = await session.run({ [session.inputNames[0]]: new ort.Tensor('float32', input, [1, 3, side, side]) });
    const scores = answer[session.outputNames[0]].data;
    let best = 0;
    for (let i = 1; i < scores.length; ++i) if (scores[i] > scores[best]) best = i;
    return { label: best, score: scores[best] };
  });
  const address = await fastify.listen({ port: 0, host: '127.0.0.1' });
  console.log(new URL(address).port);
}
main();
