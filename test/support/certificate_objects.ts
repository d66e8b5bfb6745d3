// A cluster for the keeper of certificates, in memory: one Secret with compare-and-set, one webhook configuration, and the means
// to break them.
import type { CertificateObjects } from '../../webhook/certificate/certificate_objects.ts'
import type { SecretData } from '../../webhook/certificate/stored.ts'

export type MemoryObjects = CertificateObjects & {
  /** As it lies there; `undefined`: deleted. */
  secret: SecretData | undefined
  /** Webhook -> bundle; `undefined`: nothing is registered. */
  bundles: Map<string, string> | undefined
  /** What each of the four calls is refused with. */
  readonly refuses: Partial<Record<'readSecret' | 'writeSecret' | 'readBundles' | 'writeBundle', string>>
  /** Done just before the next write of the Secret, once: somebody else is faster. */
  before: (() => Promise<void>) | undefined
  readonly writes: { secret: number; bundle: number }
}

export function memoryObjects(names: readonly string[] = ['modules.sallyport.dev']): MemoryObjects {
  let version = 0
  let lastSecret: SecretData | undefined
  const listeners = new Set<() => void>()
  const objects: MemoryObjects = {
    secret: undefined,
    bundles: new Map(names.map((name) => [name, ''])),
    refuses: {},
    before: undefined,
    writes: { secret: 0, bundle: 0 },
    async readSecret() {
      if (objects.refuses.readSecret !== undefined) return { ok: false, denial: objects.refuses.readSecret }
      const data = objects.secret
      if (data === undefined) return { ok: true, value: undefined }
      if (data !== lastSecret) version += 1
      lastSecret = data
      return { ok: true, value: { data, version: String(version) } }
    },
    async writeSecret(data, expected) {
      const before = objects.before
      objects.before = undefined
      await before?.()
      if (objects.refuses.writeSecret !== undefined) return { ok: false, denial: objects.refuses.writeSecret }
      const present = await objects.readSecret()
      const actual = present.ok ? present.value?.version : 'unreadable'
      if (actual !== expected) return { ok: true, value: 'conflict' }
      objects.secret = data
      objects.writes.secret += 1
      for (const listener of listeners) listener()
      return { ok: true, value: 'written' }
    },
    async readBundles() {
      if (objects.refuses.readBundles !== undefined) return { ok: false, denial: objects.refuses.readBundles }
      if (objects.bundles === undefined) return { ok: true, value: undefined }
      return { ok: true, value: { bundles: new Map(objects.bundles), version: '1' } }
    },
    async writeBundle(bundle, { bundles }) {
      if (objects.refuses.writeBundle !== undefined) return { ok: false, denial: objects.refuses.writeBundle }
      objects.bundles = new Map([...bundles.keys()].map((name) => [name, bundle]))
      objects.writes.bundle += 1
      for (const listener of listeners) listener()
      return { ok: true, value: 'written' }
    },
    watch(changed) {
      listeners.add(changed)
      return () => listeners.delete(changed)
    },
  }
  return objects
}
