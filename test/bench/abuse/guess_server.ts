// The broker of the bench with one thing planted: whoever names a client that does not exist waits so many microseconds longer.
// What the bench measures at it must be found, or it would not find the real thing either.
//   node guess_server.ts CONFIG MICROSECONDS
import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { createLog } from '../../../src/platform/log.ts'
import { createPublicApp } from '../../../src/broker/app.ts'
import { createBroker } from '../../../src/broker/broker.ts'
import { loadNativeConfig } from '../../../src/broker/config/native.ts'
import { openRuntime } from '../../../src/cli/broker_runtime.ts'
import { formatFinding } from '../../../src/platform/config/finding.ts'
import { createRandomBytes } from '../../../src/platform/random.ts'

const [file = '', planted = '0'] = process.argv.slice(2)
const randomBytes = createRandomBytes()
const { config, findings } = loadNativeConfig(file, readFileSync(file, 'utf8'), {
  env: process.env,
  readFile: (path) => readFileSync(path, 'utf8'),
  baseDir: dirname(file),
  randomBytes,
})
if (config === undefined) throw new Error(findings.map(formatFinding).join('\n'))
const log = createLog({ level: 'error', format: 'json' })
const { parts, gauge } = await openRuntime(config, { clock: Date.now, randomBytes, log, version: 'bench' })
const microseconds = Number(planted)
const broker = createBroker(config, {
  ...parts,
  audit: {
    ...parts.audit,
    write(event) {
      if (event.reason === 'client_unknown') spin(microseconds)
      return parts.audit.write(event)
    },
  },
})
const app = await createPublicApp(broker, { https: undefined, isIdle: gauge.isIdle })
app.server.on('connection', (socket) => socket.once('close', gauge.connected()))
const [listener] = config.publicListeners
if (listener === undefined) throw new Error('the configuration names no listener')
await app.listen({ host: listener.host, port: listener.port })

function spin(forMicroseconds: number): void {
  const until = performance.now() + forMicroseconds / 1000
  while (performance.now() < until);
}
