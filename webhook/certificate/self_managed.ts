// The webhook's own certificate as a source: looks again when something falls due, when a watch says so, and after trouble.
import { createCertificateKeeper } from './certificate_keeper.ts'
import type { KeeperOptions } from './certificate_keeper.ts'
import type { CertificateSource } from './source.ts'

/** Between two looks: several events are one change, and whoever fights for the bundle does not make us spin. */
const pauseMs = 250

/** Resolves when there is something to serve; whether the apiserver trusts it, `missing` says. */
export async function openSelfManagedCertificate(options: KeeperOptions): Promise<CertificateSource> {
  const keeper = await createCertificateKeeper(options)
  const listeners = new Set<() => void>()
  let shown = keeper.served()
  let timer: NodeJS.Timeout | undefined
  let isLooking = false
  let isNudged = false
  let isClosed = false

  function tellWhenChanged(): void {
    const served = keeper.served()
    if (served.cert === shown.cert) return
    shown = served
    options.log.info({ endsAt: served.endsAt }, 'another certificate is served from now on')
    for (const listener of listeners) listener()
  }

  async function look(): Promise<void> {
    isLooking = true
    isNudged = false
    const seconds = await keeper.look()
    isLooking = false
    if (isClosed) return
    tellWhenChanged()
    plan(isNudged ? pauseMs : seconds * 1000)
  }

  function plan(inMs: number): void {
    clearTimeout(timer)
    timer = setTimeout(() => void look(), inMs)
    timer.unref()
  }

  const endWatch = options.objects.watch(() => {
    isNudged = true
    if (!isLooking && !isClosed) plan(pauseMs)
  })
  void look()
  return {
    current() {
      const { cert, key, endsAt } = keeper.served()
      return { cert, key, notAfterSeconds: endsAt }
    },
    onChange(changed) {
      listeners.add(changed)
      return () => listeners.delete(changed)
    },
    missing: () => keeper.missing(),
    close() {
      isClosed = true
      clearTimeout(timer)
      endWatch()
    },
  }
}
