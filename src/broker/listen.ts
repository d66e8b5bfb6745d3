// Opening and closing listeners: TLS files read at start and again when they change, a graceful end that lets requests
// under way finish.
import { readFileSync, unwatchFile, watchFile } from 'node:fs'
import { Server as HttpsServer } from 'node:https'
import type { FastifyInstance } from 'fastify'
import type { Log } from '#platform/log.ts'
import type { ListenerConfig, TlsFiles } from './config/broker_config.ts'

export type Listening = {
  /** `https://127.0.0.1:8443` */
  readonly url: string
  readonly reloadTls: () => void
  readonly close: () => Promise<void>
}

/** How often TLS files are looked at. */
const TLS_CHECK_MS = 5000

export function readTls(files: TlsFiles) {
  return {
    cert: readFileSync(files.certFile),
    key: readFileSync(files.keyFile),
    minVersion: files.minVersion,
    maxVersion: files.maxVersion,
  }
}

export async function listen(app: FastifyInstance, config: ListenerConfig, log: Log): Promise<Listening> {
  await app.listen({ host: config.host, port: config.port })
  const reloadTls = (): void => {
    if (config.tls !== undefined) swapCertificate(app, config.tls, log)
  }
  const files = config.tls === undefined ? [] : [config.tls.certFile, config.tls.keyFile]
  for (const file of files) watchFile(file, { interval: TLS_CHECK_MS, persistent: false }, reloadTls)
  return {
    url: urlOf(app, config),
    reloadTls,
    async close() {
      for (const file of files) unwatchFile(file, reloadTls)
      await app.close()
    },
  }
}

/** New connections get the new certificate; a pair that does not fit leaves the old one in place. */
function swapCertificate(app: FastifyInstance, files: TlsFiles, log: Log): void {
  const { server } = app
  if (!(server instanceof HttpsServer)) return
  try {
    server.setSecureContext(readTls(files))
    log.info({ certFile: files.certFile }, 'certificate reloaded')
  } catch (error) {
    log.error({ certFile: files.certFile, err: error }, 'certificate not reloaded, the old one stays')
  }
}

function urlOf(app: FastifyInstance, config: ListenerConfig): string {
  const address = app.server.address()
  const host = config.host.includes(':') ? `[${config.host}]` : config.host
  return `${config.tls === undefined ? 'http' : 'https'}://${host}:${typeof address === 'object' && address !== null ? address.port : config.port}`
}
