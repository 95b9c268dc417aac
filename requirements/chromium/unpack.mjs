// Unpacks the program, and the libraries that a bare system lacks, beside this file.
import { chmodSync, createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createBrotliDecompress } from 'node:zlib';

const here = import.meta.dirname;
const packed = `${here}/node_modules/@sparticuz/chromium/bin`;
for (const [from, to] of [['chromium.br', 'chromium'], ['al2023.tar.br', 'libraries.tar']]) {
  await pipeline(createReadStream(`${packed}/${from}`), createBrotliDecompress(), createWriteStream(`${here}/${to}`));
}
chmodSync(`${here}/chromium`, 0o755);
