// Who has which name: OpenDepot finds Modules, Providers and Versions by names alone, some of them in every namespace. Asked for
// each review, so nothing here looks through the cluster.
import type { ModuleObject, ProviderObject } from '#core/module/module_object.ts'
import { versionObjectName } from '#core/module/version_identity.ts'

type Named = ModuleObject | ProviderObject

/** `namespace/name` of each that goes by a name, and what it is. */
type Holders = Map<string, Named>

/** Whether a version of it has, or will have, a Version object of this name. */
type IsNameOf = (holder: Named, version: string, objectName: string) => boolean

export class NameIndex {
  /** Name in the configuration, or of the object -> holders in every namespace. */
  readonly #byName = new Map<string, Holders>()
  readonly #isNameOf: IsNameOf

  constructor(isNameOf: IsNameOf) {
    this.#isNameOf = isNameOf
  }

  change(before: Named | undefined, after: Named | undefined): void {
    if (before !== undefined) {
      for (const name of namesOf(before)) {
        const holders = this.#byName.get(name)
        holders?.delete(keyOf(before))
        if (holders?.size === 0) this.#byName.delete(name)
      }
    }
    if (after !== undefined) {
      for (const name of namesOf(after)) {
        const holders = this.#byName.get(name) ?? new Map<string, Named>()
        holders.set(keyOf(after), after)
        this.#byName.set(name, holders)
      }
    }
  }

  /** Others that go by a name of this one, sorted. */
  namesakes(of: Named): readonly string[] {
    const found = new Set<string>()
    for (const name of namesOf(of)) for (const key of this.#byName.get(name)?.keys() ?? []) found.add(key)
    found.delete(keyOf(of))
    return found.size < 2 ? [...found] : [...found].sort()
  }

  /** Who lists a version whose object will be called so, but for `except`. */
  ownerOf(namespace: string, objectName: string, except: string): string | undefined {
    // `foo-1-0-0-2` is of `foo`, of `foo-1`, or of whoever else its beginning names.
    for (let dash = objectName.indexOf('-'); dash > 0; dash = objectName.indexOf('-', dash + 1)) {
      for (const [key, holder] of this.#byName.get(objectName.slice(0, dash)) ?? []) {
        if (holder.meta.namespace !== namespace || key === except) continue
        if (holder.versions.some(({ version }) => this.#isNameOf(holder, version, objectName))) return key
      }
    }
    return undefined
  }

  /** The one in this namespace that has the name in its configuration; by its own name first. */
  find(namespace: string, name: string): Named | undefined {
    const holders = this.#byName.get(name)
    const own = holders?.get(`${namespace}/${name}`)
    if (own !== undefined && configNameOf(own) === name) return own
    for (const holder of holders?.values() ?? []) {
      if (holder.meta.namespace === namespace && configNameOf(holder) === name) return holder
    }
    return own
  }
}

export function keyOf({ meta }: Named): string {
  return `${meta.namespace}/${meta.name}`
}

export function configNameOf({ config, meta }: Named): string {
  return config.name === '' ? meta.name : config.name
}

function namesOf(holder: Named): readonly string[] {
  const name = configNameOf(holder)
  return name === holder.meta.name ? [name] : [name, holder.meta.name]
}

export function isModuleVersionName(holder: Named, version: string, objectName: string): boolean {
  return versionObjectName(configNameOf(holder), version) === objectName
}

/** `aws-5-0-0-linux-amd64`: one for each platform. None is made to be compared, since there may be any number. */
export function isProviderVersionName(holder: Named, version: string, objectName: string): boolean {
  if (holder.kind === 'Module') return false
  const plain = version.startsWith('v') ? version.slice(1) : version
  const beginning = `${sanitised(`${configNameOf(holder)}-${plain}`)}-`
  if (!objectName.startsWith(beginning)) return false
  const platform = objectName.slice(beginning.length)
  const { operatingSystems, architectures } = holder.config
  return operatingSystems.some((system) => {
    const start = `${sanitised(system)}-`
    if (!platform.startsWith(start)) return false
    const rest = platform.slice(start.length)
    return architectures.some((architecture) => sanitised(architecture) === rest)
  })
}

function sanitised(text: string): string {
  return text.toLowerCase().replaceAll(/[._/]/g, '-')
}
