// Where a server listens, on real sockets.
import Fastify from 'fastify'
import t from 'tap'
import { listen } from '../../src/platform/http/listen.ts'
import { createLog } from '../../src/platform/log.ts'

t.test(
  'a name is one address, so that no second server without limits stands beside the first',
  async (t) => {
    const app = Fastify()
    const log = createLog({ level: 'error', format: 'json' })
    const listening = await listen(app, { host: 'localhost', port: 0, tls: undefined }, log)
    t.teardown(async () => listening.close())
    t.equal(app.addresses().length, 1)
    t.match(listening.url, /^http:\/\/localhost:\d+$/)
  },
)
