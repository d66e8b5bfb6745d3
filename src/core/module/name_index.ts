// Who has which name: OpenDepot finds Modules, Providers and Versions by names alone, some of them in every namespace. Asked for
// each review, so nothing here looks through the cluster.
import { configName } from './module_case.ts'
import type { ModuleObject, ProviderObject } from './module_object.ts'
import { versionObjectName } from './version_identity.ts'

type Named = ModuleObject | ProviderObject

/** `namespace/name` of each that goes by a name, and what it is. */
type Holders = Map<string, Named>

export class NameIndex {
  /** Name in the configuration, or of the object -> holders in every namespace. */
  readonly #byName = new Map<string, Holders>()
  /** Of those that were asked about: a state of an object is another key than the next. */
  readonly #stems = new WeakMap<Named, ReadonlySet<string>>()

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
        if (isNameOf(holder, this.#stemsOf(holder), objectName)) return key
      }
    }
    return undefined
  }

  #stemsOf(holder: Named): ReadonlySet<string> {
    const known = this.#stems.get(holder)
    if (known !== undefined) return known
    const stems = new Set(holder.versions.map(({ version }) => stemOf(holder, version)))
    this.#stems.set(holder, stems)
    return stems
  }

  /** The one in this namespace that has the name in its configuration; by its own name first. */
  find(namespace: string, name: string): Named | undefined {
    const holders = this.#byName.get(name)
    const own = holders?.get(`${namespace}/${name}`)
    if (own !== undefined && configName(own) === name) return own
    for (const holder of holders?.values() ?? []) {
      if (holder.meta.namespace === namespace && configName(holder) === name) return holder
    }
    return own
  }
}

export function keyOf({ meta }: Named): string {
  return `${meta.namespace}/${meta.name}`
}

function namesOf(holder: Named): readonly string[] {
  const name = configName(holder)
  return name === holder.meta.name ? [name] : [name, holder.meta.name]
}

/** What the names of Version objects begin with, for each version that is listed: all of it for a Module's. */
function stemOf(holder: Named, version: string): string {
  const name = configName(holder)
  if (holder.kind === 'Module') return versionObjectName(name, version)
  const plain = version.startsWith('v') ? version.slice(1) : version
  return sanitised(`${name}-${plain}`)
}

/** `aws-5-0-0-linux-amd64`: one for each platform. None is made to be compared, since there may be any number. */
function isNameOf(holder: Named, stems: ReadonlySet<string>, objectName: string): boolean {
  if (holder.kind === 'Module') return stems.has(objectName)
  const { operatingSystems, architectures } = holder.config
  return architectures.some((architecture) => {
    const end = `-${sanitised(architecture)}`
    if (!objectName.endsWith(end)) return false
    const rest = objectName.slice(0, -end.length)
    return operatingSystems.some((system) => {
      const middle = `-${sanitised(system)}`
      return rest.endsWith(middle) && stems.has(rest.slice(0, -middle.length))
    })
  })
}

function sanitised(text: string): string {
  return text.toLowerCase().replaceAll(/[._/]/g, '-')
}
