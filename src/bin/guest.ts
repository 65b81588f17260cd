/** Builds the demo image into a file: `npm run guest -- FILE`. */
import { stat } from 'node:fs/promises';
import { buildDemoImage } from '../agent/images/demo-image.js';

const { argv, stdout, stderr } = process;
const path = argv[2] ?? '.berth/demo.img';

try {
  await buildDemoImage(path);
  const { size } = await stat(path);
  stdout.write(`${path}: ${(size / 1024 ** 2).toFixed(0)} MiB, raw.\n`);
  stdout.write(`Add it to the hosts with: berth image add ${path} --name demo --format raw\n`);
} catch (error) {
  stderr.write(`the demo image could not be built: ${(error as Error).message}\n`);
  process.exit(1);
}
