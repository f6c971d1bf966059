# nginx's auto/make runs this: the header of the Lua scripts is made with the
# module, and anew when a script changes.

cat << END                                                    >> $NGX_MAKEFILE

$NGX_OBJS/amp_script_text.h:	$(echo $ngx_addon_dir/tools/lua-header \
                                       $ngx_addon_dir/src/core/*.lua)
	$ngx_addon_dir/tools/lua-header \$@ $(echo $ngx_addon_dir/src/core/*.lua)

END
