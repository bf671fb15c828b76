// SPDX-License-Identifier: Apache-2.0
// A real OpenID provider (oidc-provider) over HTTPS on loopback. Told on standard input, one JSON object a line:
//   {"do": "token", "client": "bot", "seconds": 60}   a JWT of the client-credentials grant, through its token endpoint
//   {"do": "rotate"}      other keys from now on        {"do": "down"} {"do": "up"}   stop listening, listen again
//   {"do": "slow", "ms": 3000}   each answer so late    {"do": "count"}   requests for keys so far
// Answers one JSON object a line. Arguments: the folder with node_modules, port, certificate, key, CA certificate, and
// the name it is reached by.
import crypto from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import readline from 'node:readline';
import { pathToFileURL } from 'node:url';

const [folder, port, certificate, key, ca, host = 'localhost'] = process.argv.slice(2);
const { default: Provider } = await import(pathToFileURL(path.join(folder, 'node_modules/oidc-provider/lib/index.js')));
const url = `https://${host}${port === '443' ? '' : `:${port}`}`;
let generation = 0, delay = 0, keyRequests = 0, seconds = 60, handler;

function fresh() {
  generation += 1;
  const jwk = (pair, more) => ({ ...pair.privateKey.export({ format: 'jwk' }), use: 'sig', ...more });
  const keys = [jwk(crypto.generateKeyPairSync('rsa', { modulusLength: 2048 }), { kid: `rsa-${generation}`, alg: 'RS256' })];
  const provider = new Provider(url, {
    jwks: { keys },
    clients: ['bot', 'rival', 'billing-bot', 'third'].map((id) => ({
      client_id: id, client_secret: `${id}-secret`, grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
    })),
    ttl: { ClientCredentials: () => seconds },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'urn:sallyport',
        getResourceServerInfo: () => ({ scope: '', audience: 'sallyport', accessTokenFormat: 'jwt', accessTokenTTL: seconds }),
      },
    },
  });
  handler = provider.callback();
}

let server;
const sockets = new Set();
function listen() {
  return new Promise((done) => {
    server = https.createServer({ cert: fs.readFileSync(certificate), key: fs.readFileSync(key) }, (request, response) => {
      if (request.url === '/jwks') keyRequests += 1;
      setTimeout(() => handler(request, response), delay);
    });
    server.on('connection', (socket) => { sockets.add(socket); socket.on('close', () => sockets.delete(socket)); });
    server.listen(Number(port), '127.0.0.1', done);
  });
}
function stop() {
  return new Promise((done) => { server.close(done); for (const socket of sockets) socket.destroy(); });
}

function token(client) {
  return new Promise((done, fail) => {
    const body = 'grant_type=client_credentials';
    const request = https.request(`${url}/token`, {
      method: 'POST', ca: fs.readFileSync(ca), agent: false, lookup: (_host, options, answer) => (options.all
        ? answer(null, [{ address: '127.0.0.1', family: 4 }]) : answer(null, '127.0.0.1', 4)),
      headers: {
        authorization: `Basic ${Buffer.from(`${client}:${client}-secret`).toString('base64')}`,
        'content-type': 'application/x-www-form-urlencoded', 'content-length': body.length,
      },
    }, (response) => {
      let text = '';
      response.on('data', (bytes) => { text += bytes; });
      response.on('end', () => { const parsed = JSON.parse(text); parsed.access_token ? done(parsed.access_token) : fail(new Error(text)); });
    });
    request.on('error', fail);
    request.end(body);
  });
}

async function obey(line) {
  const order = JSON.parse(line);
  switch (order.do) {
    case 'token': seconds = order.seconds ?? 60; return { token: await token(order.client) };
    case 'rotate': fresh(); return { generation };
    case 'down': await stop(); return {};
    case 'up': await listen(); return {};
    case 'slow': delay = order.ms; return {};
    case 'count': return { keys: keyRequests };
    default: return { error: 'not understood' };
  }
}

fresh();
await listen();
console.log(JSON.stringify({ ready: url }));
for await (const line of readline.createInterface({ input: process.stdin })) {
  let answer;
  try { answer = await obey(line); } catch (error) { answer = { error: String(error) }; }
  console.log(JSON.stringify(answer));
}
process.exit(0);
