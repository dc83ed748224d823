{
  "targets": [
    {
      "target_name": "tidegate",
      "sources": [
        "<!@(node -p \"require('fs').readdirSync('native/src').filter(f=>f.endsWith('.cc')).sort().map(f=>'native/src/'+f).join(' ')\")"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")", "bpf", "native/src"],
      "defines": ["NAPI_VERSION=9", "NAPI_DISABLE_CPP_EXCEPTIONS", "NODE_ADDON_API_DISABLE_DEPRECATED"],
      "cflags": ["-O3", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-missing-field-initializers"],
      "cflags_cc": ["-std=c++20"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20", "-fno-rtti"],
      "libraries": ["-lbpf", "-lelf", "-lz", "-lzstd", "-lpthread"]
    }
  ]
}
