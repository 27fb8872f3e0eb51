/** Sizes of a session, as far as the caller's limits let them be. */
import type { LimitsAnswer, LimitsPatch } from '../api/schema';
import { bytes } from '../parts/format';

const MIB = 1024 * 1024;
const SIZES = [
  { id: 'small', name: 'Small', cpu_millis: 1_000, memory_bytes: 512 * MIB },
  { id: 'medium', name: 'Medium', cpu_millis: 2_000, memory_bytes: 1024 * MIB },
  { id: 'large', name: 'Large', cpu_millis: 4_000, memory_bytes: 2048 * MIB },
] as const;

export type SizeId = (typeof SIZES)[number]['id'];
export type Size = { id: SizeId; name: string; about: string; limits: LimitsPatch };

/** Each within what the caller may have; a size that would be no larger than the one before it is left out. */
export function sizesWithin(limits: LimitsAnswer | null): Size[] {
  const most = limits?.maximum;
  const sizes: Size[] = [];
  let before = '';
  for (const { id, name, cpu_millis, memory_bytes } of SIZES) {
    const patch = { cpu_millis: Math.min(cpu_millis, most?.cpu_millis ?? cpu_millis), memory_bytes: Math.min(memory_bytes, most?.memory_bytes ?? memory_bytes) };
    const about = `${bytes(patch.memory_bytes)}, ${patch.cpu_millis / 1_000} ${patch.cpu_millis === 1_000 ? 'core' : 'cores'}`;
    if (about !== before) sizes.push({ id, name, about, limits: patch });
    before = about;
  }
  return sizes;
}
