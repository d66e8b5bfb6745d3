// Who has which name: OpenDepot finds Modules, Providers and Versions by names alone, some of them in every namespace. Asked for
// each review, so nothing here looks through the cluster.
import { boundedText, hasMorePlatforms } from './listing_bounds.ts'
import { configName } from './module_case.ts'
import type { ModuleObject, ProviderObject } from './module_object.ts'
import { versionObjectName } from './version_identity.ts'

type Named = ModuleObject | ProviderObject

/** `namespace/name` of each that goes by a name, and what it is. */
type Holders = Map<string, Named>

/** DNS subdomain, as Kubernetes has it for names of objects. */
const MAX_OBJECT_NAME = 253

export class NameIndex {
  /** Name in the configuration, or of the object -> holders in every namespace. */
  readonly #byName = new Map<string, Holders>()
  /** Of those that were asked about: a state of an object is another key than the next. */
  readonly #parts = new WeakMap<Named, NameParts>()

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
    // Kubernetes takes no longer name for an object, and each dash costs a look.
    if (objectName.length > MAX_OBJECT_NAME) return undefined
    // `foo-1-0-0-2` is of `foo`, of `foo-1`, or of whoever else its beginning names.
    for (let dash = objectName.indexOf('-'); dash > 0; dash = objectName.indexOf('-', dash + 1)) {
      for (const [key, holder] of this.#byName.get(objectName.slice(0, dash)) ?? []) {
        if (holder.meta.namespace !== namespace || key === except) continue
        if (isMadeOf(this.#partsOf(holder), objectName)) return key
      }
    }
    return undefined
  }

  #partsOf(holder: Named): NameParts {
    const known = this.#parts.get(holder)
    if (known !== undefined) return known
    const parts = partsOf(holder)
    this.#parts.set(holder, parts)
    return parts
  }

  /** The one in this namespace that has the name in its configuration; by its own name first. */
  find(namespace: string, told: string): Named | undefined {
    // As it is kept, whoever tells it.
    const name = boundedText(told)
    const goesByIt = (holder: Named): boolean => boundedText(configName(holder)) === name
    const holders = this.#byName.get(name)
    const own = holders?.get(`${namespace}/${name}`)
    if (own !== undefined && goesByIt(own)) return own
    for (const holder of holders?.values() ?? []) {
      if (holder.meta.namespace === namespace && goesByIt(holder)) return holder
    }
    return own
  }
}

export function keyOf({ meta }: Named): string {
  return `${meta.namespace}/${meta.name}`
}

/** Who is asked about may be read whole, and who is known comes from a watch. */
function namesOf(holder: Named): readonly string[] {
  const name = boundedText(configName(holder))
  return name === holder.meta.name ? [name] : [name, holder.meta.name]
}

/** What the names of Version objects are put together from. No name is made to be compared: there may be any number of platforms. */
type NameParts = {
  /** What they begin with, for each version that is listed: all of it for a Module's. */
  readonly stems: ReadonlySet<string>
  /** `-linux`, `-amd64`; absent for a Module. `any`: more than are kept. */
  readonly platforms:
    | { readonly systems: ReadonlySet<string>; readonly architectures: ReadonlySet<string> }
    | 'any'
    | undefined
}

const NO_NAMES: NameParts = { stems: new Set(), platforms: undefined }

function partsOf(holder: Named): NameParts {
  const name = configName(holder)
  if (holder.kind === 'Module') {
    const stems = new Set(holder.versions.map(({ version }) => versionObjectName(name, version)))
    return { stems, platforms: undefined }
  }
  const { operatingSystems, architectures } = holder.config
  // Where one of the two is empty, no object is made.
  if (operatingSystems.length === 0 || architectures.length === 0) return NO_NAMES
  return {
    stems: new Set(holder.versions.map(({ version }) => sanitised(`${name}-${withoutV(version)}`))),
    platforms: hasMorePlatforms(holder)
      ? 'any'
      : { systems: endsOf(operatingSystems), architectures: endsOf(architectures) },
  }
}

function withoutV(version: string): string {
  return version.startsWith('v') ? version.slice(1) : version
}

function endsOf(texts: readonly string[]): ReadonlySet<string> {
  return new Set(Array.from(new Set(texts), (text) => `-${sanitised(text)}`))
}

/** `aws-5-0-0-linux-amd64`: by the dashes of the name, of which it has few, whatever a Provider lists. */
function isMadeOf({ stems, platforms }: NameParts, objectName: string): boolean {
  if (platforms === undefined) return stems.has(objectName)
  if (platforms === 'any') return beginningsOf(objectName).some((stem) => stems.has(stem))
  const { systems, architectures } = platforms
  return beginningsBefore(architectures, objectName).some((rest) =>
    beginningsBefore(systems, rest).some((stem) => stems.has(stem)),
  )
}

/** What stands before each dash. */
function beginningsOf(text: string): readonly string[] {
  const found: string[] = []
  for (let dash = text.lastIndexOf('-'); dash > 0; dash = text.lastIndexOf('-', dash - 1))
    found.push(text.slice(0, dash))
  return found
}

/** What is left of a text for each of the ends that it has. */
function beginningsBefore(ends: ReadonlySet<string>, text: string): readonly string[] {
  const found: string[] = []
  for (let dash = text.lastIndexOf('-'); dash > 0; dash = text.lastIndexOf('-', dash - 1))
    if (ends.has(text.slice(dash))) found.push(text.slice(0, dash))
  return found
}

function sanitised(text: string): string {
  return text.toLowerCase().replaceAll(/[._/]/g, '-')
}
