// Who has which name, beside what whole rules ask (module_conformance, module_versions).
import t from 'tap'
import { readModule } from '../../src/core/module/module_object.ts'
import type { ModuleObject } from '../../src/core/module/module_object.ts'
import { NameIndex } from '../../src/core/module/name_index.ts'
import { versionObjectName } from '../../src/core/module/version_identity.ts'
import { moduleJson } from '../support/module_changes.ts'

function named(name: string): ModuleObject {
  const read = readModule(moduleJson({ versions: ['1.0.0'], config: { name } }))
  if (!read.ok) throw new Error(read.denial)
  return read.value
}

function holderOf(name: string): string | undefined {
  const index = new NameIndex()
  const module = named(name)
  index.change(undefined, module)
  return index.ownerOf(module.meta.namespace, versionObjectName(name, '1.0.0'), '')
}

t.test('the name of a Version is of the Module that lists it', async (t) => {
  t.equal(holderOf('x-y'), 'infra/terraform-aws-vpc')
  t.equal(holderOf('x'.repeat(247)), 'infra/terraform-aws-vpc', 'of 253 characters')
})

t.test(
  'a name that no object can have is nobody’s, and is not looked for at each of its dashes',
  async (t) => {
    t.equal(holderOf('x'.repeat(248)), undefined)
    t.equal(holderOf('-'.repeat(100_000)), undefined)
  },
)

t.test('a Module is found by a name without end, whoever keeps how much of it', async (t) => {
  const index = new NameIndex()
  const name = 'x'.repeat(5000)
  index.change(undefined, named(name))
  t.ok(index.find('infra', name))
  t.notOk(index.find('infra', `${name}y`))
})
