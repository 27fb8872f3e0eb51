/// <reference types="vitest/config" />
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

/** The Kiln that the development server hands API requests to. */
const kiln = process.env.KILN_SERVER ?? 'http://127.0.0.1:8080';

const proxy = { '/api': { target: kiln, changeOrigin: false }, '/docs': { target: kiln } };

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: 'es2023',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 600,
  },
  server: { proxy },
  preview: { proxy },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
